# fish completion for lenet-flow

set -l commands run check eval verify profile compare devices data
set -l with_graph '__fish_seen_subcommand_from run check eval verify profile compare'

complete -c lenet-flow -f
complete -c lenet-flow -s h -l help -d 'Print help'
complete -c lenet-flow -l version -d 'Print the version'

complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a run -d 'Train, then evaluate'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a check -d 'Say all that can be known without running'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a eval -d 'Test split with given parameters'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a verify -d 'Compare with the sequential schedule, bit for bit'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a profile -d 'Where the time goes, why, and what would help'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a compare -d 'Two graph files or results side by side'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a devices -d 'What this machine has'
complete -c lenet-flow -n "not __fish_seen_subcommand_from $commands" -a data -d 'Known data sets and where they are'

complete -c lenet-flow -n "$with_graph" -k -a '(__fish_complete_suffix .json)'
complete -c lenet-flow -n "$with_graph" -l set -x -d 'PATH=VALUE: replace a field of the file'
complete -c lenet-flow -n "$with_graph" -l map -x -d 'DEVICE=WHAT: put a device on something else'
complete -c lenet-flow -n "$with_graph" -l epochs -x -d 'Number of epochs'
complete -c lenet-flow -n "$with_graph" -l seed -x -d 'Seed of all random numbers'
complete -c lenet-flow -n "$with_graph" -l limit -x -d 'Take the first N training images'
complete -c lenet-flow -n "$with_graph" -s v -l verbose -d 'Say more'
complete -c lenet-flow -n '__fish_seen_subcommand_from run check eval verify profile compare get' -s q -l quiet -d 'No progress'
complete -c lenet-flow -n '__fish_seen_subcommand_from run check eval verify profile compare data' -l data -x -a '(__fish_complete_directories)' -d 'A folder with one folder a data set'

complete -c lenet-flow -n '__fish_seen_subcommand_from run verify profile' -l init -r -F -d 'Start from these parameters'
complete -c lenet-flow -n '__fish_seen_subcommand_from run' -l checkpoint -x -a '(__fish_complete_directories)' -d 'Write checkpoints here'
complete -c lenet-flow -n '__fish_seen_subcommand_from run' -l resume -d 'Go on from the newest whole checkpoint'
complete -c lenet-flow -n '__fish_seen_subcommand_from run eval verify profile compare' -l json -r -F -d 'The result as JSON'
complete -c lenet-flow -n '__fish_seen_subcommand_from check' -l dot -r -F -d 'Write the network for Graphviz'
complete -c lenet-flow -n '__fish_seen_subcommand_from check' -l draw -r -F -d 'Draw the schedule as an SVG picture'
complete -c lenet-flow -n '__fish_seen_subcommand_from check' -l schedule-out -r -F -d 'Write the schedule as CSV'
complete -c lenet-flow -n '__fish_seen_subcommand_from eval' -l parameters -r -F -d 'The parameters'
complete -c lenet-flow -n '__fish_seen_subcommand_from eval' -l predictions -r -F -d 'Write a CSV file'
complete -c lenet-flow -n '__fish_seen_subcommand_from verify profile compare' -l steps -x -d 'Batches to run'
complete -c lenet-flow -n '__fish_seen_subcommand_from profile' -l warm-up -x -d 'Batches before those that are measured'
complete -c lenet-flow -n '__fish_seen_subcommand_from compare' -l runs -x -d 'Runs of each'
complete -c lenet-flow -n '__fish_seen_subcommand_from compare' -l set-a -x -d 'PATH=VALUE for A'
complete -c lenet-flow -n '__fish_seen_subcommand_from compare' -l set-b -x -d 'PATH=VALUE for B'
complete -c lenet-flow -n '__fish_seen_subcommand_from compare' -l keep -x -a '(__fish_complete_directories)' -d 'Write results here'
complete -c lenet-flow -n '__fish_seen_subcommand_from profile' -l budget -x -d 'Limits of stalls: starved=5%'
complete -c lenet-flow -n '__fish_seen_subcommand_from verify' -l reference -x -a 'sequential cpu' -d 'What to compare with'

complete -c lenet-flow -n '__fish_seen_subcommand_from data; and not __fish_seen_subcommand_from get' -a get -d 'Fetch a known set'
complete -c lenet-flow -n '__fish_seen_subcommand_from get' -a 'mnist fashion-mnist cifar10 digits'
complete -c lenet-flow -n '__fish_seen_subcommand_from get' -l from -r -F -d 'A folder, a file or an address'
