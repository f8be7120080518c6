#!/bin/sh
# Runs the tests of devices, engine/pipeline, engine/trace and engine/training under the thread sanitizer.
#
#   sh tests/thread_sanitizer.sh [FOLDER]     default: build-thread-sanitizer; what is in it already is kept
#
# The sanitizer knows what orders two accesses only where it sees the code that orders them, so oneTBB is built with it
# too: from the source of the very Debian package that is installed, so that headers and library fit. Needs the
# packages cmake, ninja-build and dpkg-dev beside those of the README; apt fetches the source with lists of its own, the
# machine's stay as they are. Generated cases: 60 instead of 500 (LENET_FLOW_CASES).
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build-thread-sanitizer}
jobs=${LENET_FLOW_JOBS:-$(nproc)}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
sources=$PWD

# fetch_onetbb: the source of the installed package, in $folder/onetbb-VERSION.
fetch_onetbb() {
  lists=$folder/apt
  mkdir -p "$lists/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -e "$file" ] || sed -e 's/^Types:.*/Types: deb-src/' -e 's/^deb /deb-src /' "$file" >"$lists/$(basename "$file")"
  done
  set -- -q -o Dir::State::Lists="$lists/lists" -o Dir::Etc::SourceParts=/dev/null
  if [ -e "$lists/debian.sources" ]; then
    set -- "$@" -o Dir::Etc::SourceList="$lists/debian.sources"
  else
    set -- "$@" -o Dir::Etc::SourceList="$lists/sources.list"
  fi
  mkdir -p "$lists/lists/partial"
  apt-get "$@" update
  (cd "$folder" && apt-get "$@" source --only-source "onetbb=$(dpkg-query -W -f '${source:Version}' libtbb-dev)")
}

library=$folder/tbb
if [ ! -e "$library/built" ]; then
  [ -d "$(echo "$folder"/onetbb-*/)" ] || fetch_onetbb
  cmake -S "$folder"/onetbb-*/ -B "$library" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTBB_SANITIZE=thread \
    -DTBB_TEST=OFF -DTBB_STRICT=OFF -DTBB_DISABLE_HWLOC_AUTOMATIC_SEARCH=ON
  ninja -C "$library" -j "$jobs" tbb
  touch "$library/built"
fi
built=$(dirname "$(find "$library" -name 'libtbb.so.12' | head -n 1)")

[ -e "$folder/tests/build.ninja" ] ||
  meson setup "$folder/tests" -Dbuildtype=debug -Doptimization=1 -Db_sanitize=thread -Db_lundef=false -Dbenchmarks=disabled
pipeline_tests=$(ninja -C "$folder/tests" -t targets all | sed -n 's/^\(tests\/engine\/pipeline\/pipeline_[a-z_]*_tests\): .*/\1/p')
# shellcheck disable=SC2086 # one word a program
ninja -C "$folder/tests" -j "$jobs" tests/devices/devices_tests tests/engine/trace/trace_tests tests/engine/training/training_tests \
  $pipeline_tests

failed=0
for program in "$folder"/tests/tests/devices/devices_tests "$folder"/tests/tests/engine/trace/trace_tests \
  "$folder"/tests/tests/engine/training/training_tests \
  "$folder"/tests/tests/engine/pipeline/pipeline_*_tests; do
  [ -x "$program" ] || continue
  echo "== $(basename "$program")"
  LD_LIBRARY_PATH="$built" LENET_FLOW_CASES=${LENET_FLOW_CASES:-60} \
    TSAN_OPTIONS="suppressions=$sources/tests/thread_sanitizer.supp:halt_on_error=0:second_deadlock_stack=1" \
    "$program" || failed=1
done
exit "$failed"
