# bash completion for lenet-flow

_lenet_flow() {
    local current previous word command=''
    current=${COMP_WORDS[COMP_CWORD]}
    previous=${COMP_WORDS[COMP_CWORD - 1]}
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $command:$word in
            :run | :check | :eval | :verify | :profile | :compare | :devices | :data) command=$word ;;
            data:get) command='get' ;;
        esac
    done

    case $previous in
        --init | --parameters)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -X '!*.safetensors' -- "$current"; compgen -d -- "$current")
            return ;;
        --json | --report | --trace | --predictions | --dot | --draw | --schedule-out)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --data | --checkpoint | --from | --keep)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return ;;
        --reference)
            mapfile -t COMPREPLY < <(compgen -W 'sequential cpu' -- "$current")
            return ;;
        --set | --map | --inject | --epochs | --seed | --limit | --steps | --trace-steps | --sample | --warm-up | --budget | --runs | --set-a | --set-b) return ;;
    esac

    local graph='--set --map --inject --epochs --seed --limit --data --quiet --verbose --help --version'
    local options=
    case $command in
        '') options='--help --version' ;;
        run) options="$graph --init --checkpoint --resume --json --report --trace --trace-steps --sample" ;;
        check) options="$graph --dot --draw --schedule-out" ;;
        eval) options="$graph --parameters --predictions --json" ;;
        verify) options="$graph --init --steps --reference --json" ;;
        profile) options="$graph --init --steps --warm-up --budget --json --report --trace --trace-steps --sample" ;;
        compare) options="$graph --set-a --set-b --runs --steps --keep --json" ;;
        devices) options='--measure --json --help --version' ;;
        data) options='--data --help --version' ;;
        get) options='--from --quiet --help --version' ;;
    esac

    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    case $command in
        '') mapfile -t COMPREPLY < <(compgen -W 'run check eval verify profile compare devices data' -- "$current") ;;
        data) mapfile -t COMPREPLY < <(compgen -W 'get' -- "$current") ;;
        get) mapfile -t COMPREPLY < <(compgen -W 'mnist fashion-mnist cifar10 digits' -- "$current") ;;
        run | check | eval | verify | profile | compare)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -X '!*.json' -- "$current"; compgen -d -- "$current") ;;
    esac
}

complete -F _lenet_flow lenet-flow
