#!/bin/sh
# bootstrap.sh: everything between a bare Debian 12 and a running lenet-flow, in one command.
#
#   sh tools/bootstrap.sh run graphs/split_conv_gpu.json   sets up, then `lenet-flow run ...` (or any other subcommand)
#   sh tools/bootstrap.sh test [ARGUMENTS of meson test]   sets up, then runs the tests
#
# Setting up: installs the Debian packages that are missing (as root or with sudo; nothing else is touched), configures
# and builds in build/ (release), and sees to the data: where a graph file asks for MNIST and MNIST can neither be found
# nor fetched, the program gets `--set data.set=digits`, the 5,000 digits that come with Debian's OpenCV, and a warning
# says so. What is done already is not done again: a second run needs no network and starts at once.
#
# LENET_FLOW_MESON_OPTIONS: more options for `meson setup` ("-Dcuda=disabled"), when the build folder is made.
#
# Standard output is the program's; what this script says goes to standard error. Exit codes are the program's, and 3
# where this machine lacks something that could not be installed.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/build
program=$build/tools/lenet-flow
no_mnist=$build/mnist-could-not-be-fetched # empty file: do not try again each time

build_packages='meson ninja-build g++ pkg-config libtbb-dev libfmt-dev libeigen3-dev libjsoncpp-dev libhwloc-dev
  libhwy-dev libarchive-dev zlib1g-dev libcurl4-openssl-dev libssl-dev libcli11-dev libboost-dev libopencv-imgproc-dev
  libopencv-imgcodecs-dev'
test_packages='doctest-dev'
needs='a C++20 compiler (g++ 12), meson 1.0, ninja, pkg-config, and the headers and libraries of
oneTBB 2021.5, fmt 9, Eigen 3.4, jsoncpp 1.9, hwloc 2.5, Highway 1.0, libarchive 3.5, zlib 1.2, libcurl 7.80,
OpenSSL 3 (libcrypto), CLI11 2.1, Boost 1.74 (Math), OpenCV 4.5 (core, imgproc; imgcodecs to read JPEG and PNG), and, for the tests,
doctest 2.4 (these versions or newer)'

say() { printf 'bootstrap: %s\n' "$*" >&2; }

# fail CODE MESSAGE...
fail() {
  code=$1
  shift
  say "$@"
  exit "$code"
}

# quietly COMMAND...: its output goes to a log, and the log's end is shown where the command fails.
quietly() {
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
    return 0
  fi
  say "failed: $*"
  tail -n 25 "$log" >&2
  rm -f "$log"
  return 1
}

# Prints those of the given packages that are not installed.
missing_packages() {
  for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# Debian or a distribution made from it (Ubuntu, Mint, Raspberry Pi OS, ...).
is_debian() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || return 1
  # shellcheck source=/dev/null
  (. /etc/os-release && case " ${ID:-} ${ID_LIKE:-} " in *" debian "*) exit 0 ;; *) exit 1 ;; esac) 2>/dev/null
}

# as_root COMMAND...: as root, through sudo where we are not; without a terminal sudo must not ask for a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# install_packages PACKAGE...: fails where we may not, or where apt can't.
install_packages() {
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && as_root true || return 1
  fi
  say "installing from Debian: $*"
  apt='env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300'
  # An update that fails (no network, somebody else's broken source) may still leave lists that are good enough.
  # shellcheck disable=SC2086
  as_root $apt update >/dev/null 2>&1 </dev/null || say "'apt-get update' failed; trying with the lists that are there"
  # shellcheck disable=SC2086
  quietly as_root $apt install -y --no-install-recommends "$@"
}

# Installs what is missing of the given packages. Where that can't be done, the build may still work (libraries from
# elsewhere): $not_installed then keeps what to ask for if it doesn't.
see_to_packages() {
  not_installed=
  is_debian || return 0
  not_installed=$(missing_packages "$@")
  not_installed=${not_installed% }
  [ -n "$not_installed" ] || return 0
  # shellcheck disable=SC2086
  if install_packages $not_installed; then not_installed=; fi
}

# Stops with what this machine lacks.
stop_lacking() {
  if [ -n "$not_installed" ]; then
    say "packages are missing that could not be installed (that takes root or sudo, and the network); ask for them with:"
    printf '  apt-get install --no-install-recommends %s\n' "$not_installed" >&2
  elif ! is_debian; then
    say "this is no Debian, so install by hand, and try again: $needs"
  fi
  exit 3
}

# tests_configured: whether the build folder builds the tests.
tests_configured() { grep -q 'tests/main\.cpp' "$build/build.ninja"; }

# configure true|false: makes the build folder; where it is there, only switches the tests on when they are wanted.
configure() {
  for tool in meson ninja; do
    command -v "$tool" >/dev/null || { say "$tool is missing"; stop_lacking; }
  done
  if [ ! -e "$build/build.ninja" ]; then
    say "configuring $build"
    # shellcheck disable=SC2086
    quietly meson setup --buildtype=release -Dcuda=auto "-Dtests=$1" ${LENET_FLOW_MESON_OPTIONS:-} "$build" "$root" ||
      stop_lacking
    gpu=$(sed -n 's/^ *NVIDIA GPUs *: *//p' "$build/meson-logs/meson-log.txt" | tail -n 1)
    say "GPU support: ${gpu:-unknown}"
  elif [ "$1" = true ] && ! tests_configured; then
    quietly meson configure -Dtests=true "$build" || stop_lacking
    quietly meson setup --reconfigure "$build" "$root" || stop_lacking
  fi
}

# Compilers that run at once: one a core, but no more than memory holds (a file takes up to about 1.2 GB).
compilers() {
  cores=$(nproc 2>/dev/null || echo 2)
  fit=$(awk '/^MemAvailable:/ { n = int($2 / 1200000); print n < 1 ? 1 : n }' /proc/meminfo 2>/dev/null || true)
  if [ -n "$fit" ] && [ "$fit" -lt "$cores" ]; then echo "$fit"; else echo "$cores"; fi
}

# compile TARGET...: a live line on a terminal, quiet elsewhere.
compile() {
  case $(ninja -C "$build" -n "$@" 2>/dev/null) in *'no work to do'*) return 0 ;; esac
  jobs=$(compilers)
  say "building with $jobs compilers at once (some minutes the first time)"
  if [ -t 2 ]; then
    ninja -C "$build" -j "$jobs" "$@" >&2 </dev/null || fail 1 "the build failed"
  else
    quietly ninja -C "$build" -j "$jobs" "$@" || fail 1 "the build failed"
  fi
}

# read_arguments SUBCOMMAND ARGUMENT...: sets graph (the graph file), set_given (whether the user names a data set) and
# data_option (the folder of --data).
read_arguments() {
  graph='' set_given='' data_option='' option=''
  shift
  for argument in "$@"; do
    case $option$argument in
      --data=*) data_option=${argument#--data=} ;;
    esac
    if [ -n "$option" ]; then
      case $option$argument in
        --data*) data_option=$argument ;;
        --set*data.set=*) set_given=yes ;;
      esac
      option=''
      continue
    fi
    case $argument in
      --set=data.set=*) set_given=yes ;;
      --set | --map | --epochs | --seed | --limit | --data | --init | --checkpoint | --json | --trace | --report | \
        --parameters | --predictions | --reference | --steps) option=$argument ;;
      -*) ;;
      *) [ -n "$graph" ] || graph=$argument ;;
    esac
  done
}

# The data set that a graph file names: "mnist", or nothing where that is not clear.
set_of_graph() {
  sed -e 's:^//.*$::' -e 's:[[:space:]]//.*$::' "$1" 2>/dev/null | grep -o '"set"[[:space:]]*:[[:space:]]*"[^"]*"' | sed -e 's/"$//' -e 's/.*"//'
}

# have SET: whether it is in one of the places where the program looks for it (unfinished downloads do not count). Whether
# it is whole is for the program to say.
have() {
  for folder in "$data_option" "${LENET_FLOW_DATA:-}" "${XDG_CACHE_HOME:-${HOME:-}/.cache}/lenet-flow/data"; do
    [ -n "$folder" ] || continue
    file=$(find -L "$folder/$1" -type f ! -name '.*' ! -name '*.part' 2>/dev/null | head -n 1)
    [ -z "$file" ] || return 0
  done
  return 1
}

# fetch SET SECONDS
fetch() {
  say "fetching $1"
  timeout --foreground "$2" "$program" data get "$1" >&2 </dev/null
}

# see_to_data SUBCOMMAND ARGUMENT...: fetches MNIST where it is wanted and nowhere; sets instead=digits where only
# those are to be had.
see_to_data() {
  instead=''
  case $1 in run | eval | verify | profile) ;; *) return 0 ;; esac
  read_arguments "$@"
  [ -z "$set_given" ] && [ -f "$graph" ] && [ "$(set_of_graph "$graph")" = mnist ] || return 0
  have mnist && return 0
  if ! { [ -e "$no_mnist" ] && have digits; }; then
    fetch mnist 300 && rm -f "$no_mnist" && return 0
    have digits || fetch digits 300 || return 0 # the program says what is missing, and exits with 3
    : >"$no_mnist"
  fi
  instead=digits
  say "WARNING: MNIST could not be had, so this runs on 'digits', 5,000 handwritten digits of OpenCV's, instead;" \
    "its accuracy is not MNIST's. For MNIST: sh tools/bootstrap.sh data get mnist [--from FOLDER-OR-ADDRESS]"
}

usage() {
  sed -n -e '/^set -eu/q' -e '2,$s/^# \{0,1\}//p' "$0"
}

main() {
  case ${1:-} in
    '' | -h | --help | help)
      usage
      [ $# -gt 0 ] && exit 0 || exit 2
      ;;
    test)
      shift
      # shellcheck disable=SC2086
      see_to_packages $build_packages $test_packages
      configure true
      compile meson-test-prereq
      exec meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 4 "$@"
      ;;
  esac
  # shellcheck disable=SC2086
  see_to_packages $build_packages
  configure "$([ -e /usr/include/doctest/doctest.h ] && echo true || echo false)"
  compile tools/lenet-flow
  see_to_data "$@"
  if [ -n "$instead" ]; then set -- "$@" --set "data.set=$instead"; fi
  exec "$program" "$@"
}

main "$@"
