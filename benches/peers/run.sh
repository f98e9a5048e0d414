#!/usr/bin/env bash
# Runs the workloads in every system and prints a table; see README.md.
#
#   ./run.sh [WORKLOAD]..
#
# Variables: SYSTEMS, THREADS and ROUNDS, with the defaults below; PYTHON, the interpreter that makes the virtual environment.
set -euo pipefail
cd "$(dirname "$0")"

systems=${SYSTEMS:-wengert wengert-program candle burn dfdx pytorch torch.compile jax gemm}
threads=${THREADS:-1 2}
rounds=${ROUNDS:-3}

target=${CARGO_TARGET_DIR:-target}
cargo build --release
if [[ $systems =~ pytorch|torch.compile|jax ]] && [ ! -e venv/ready ]; then
  "${PYTHON:-python3}" -m venv venv
  venv/bin/pip install --quiet -r requirements.txt
  touch venv/ready
fi

contender() { # SYSTEM ARGUMENT..
  case $1 in
    pytorch | torch.compile) venv/bin/python torch_bench.py "$@" ;;
    jax) venv/bin/python jax_bench.py "$@" ;;
    *) "$target/release/wengert-peers" "$@" ;;
  esac
}

on() { # THREADS COMMAND..
  local count=$1
  shift
  export RAYON_NUM_THREADS=$count OMP_NUM_THREADS=$count MKL_NUM_THREADS=$count XLA_FLAGS=
  if [ "$count" = 1 ]; then XLA_FLAGS=--xla_cpu_multi_thread_eigen=false; fi
  # Bound to as many cores, whatever a system makes of the variables.
  if command -v taskset >/dev/null; then taskset -cp "0-$((count - 1))" $BASHPID >/dev/null; fi
  "$@"
}

results=results/$(date +%Y%m%d-%H%M%S)
mkdir -p "$results"
{
  git describe --always --dirty 2>/dev/null || true
  cargo tree --depth 1 --prefix none
  [ ! -e venv/ready ] || venv/bin/pip freeze | grep -iE '^(torch|jax|jaxlib|numpy)=='
} >"$results/versions.txt"

for system in $systems; do
  # The bare products give nothing to compare.
  [ "$system" = gemm ] || contender "$system" --check "$@"
done >"$results/check.jsonl"
python3 check.py "$results/check.jsonl" >&2

for round in $(seq "$rounds"); do
  for count in $threads; do
    for system in $systems; do
      # The bare products are of one thread.
      [ "$system" = gemm ] && [ "$count" != 1 ] && continue
      echo "round $round of $rounds, threads $count, $system" >&2
      (on "$count" contender "$system" "$@") >>"$results/times.jsonl"
    done
  done
done
cat "$results/versions.txt"
echo
python3 table.py "$results/times.jsonl"
