# Many writers, killed and interrupted, and R among them.

# together COUNT RUNS: so many writers at once, each noting what it says in a file of its own.
together() {
  local i pids=()
  for i in $(seq "$1"); do
    bounded "$writer" "$ledger" "w$i" "$2" > "$work/acked.$i" 2> "$work/refused.$i" &
    pids+=($!)
  done
  status=0
  for i in "${pids[@]}"; do wait "$i" || status=$?; done
  cat "$work"/acked.[0-9]* >> "$work/acked"
  cat "$work"/refused.[0-9]* >> "$work/refused"
  rm "$work"/acked.[0-9]* "$work"/refused.[0-9]*
}

creators() {
  local i rounds=200
  if [ -n "$short" ]; then rounds=20; fi
  begin 'eight creators at once'
  for i in $(seq $rounds); do
    prepare birth
    together 8 1
    if [ $status != 0 ]; then complain other "round $i: $(cat "$work/refused")"; fi
    if [ "$(grep -c ',ledger,' "$ledger")" != 1 ]; then complain other "round $i: not one birth"; fi
    judge "round $i"
  done
  end
}

# in_r HEADING WHAT ROUNDS: a class of crowd.R, which says `round n` after each and `column text` for
# each fault it sees. It bounds its own waits; a call of its own hangs when no line comes.
in_r() {
  local column text rounds=0 process
  begin "$1"
  prepare birth
  mkfifo "$work/crowd"
  setsid Rscript --vanilla dev/faults.d/crowd.R "$2" "$3" "$ledger" "$work/acked" \
    > "$work/crowd" 2> "$work/crowd.err" &
  process=$!
  while status=0; read -r -t $((2 * patience)) column text || status=$?; [ $status = 0 ]; do
    case $column in
      round) rounds=$text ;;
      measured) printf '%s: %s\n' "$1" "$text" >> "$work/measured" ;;
      *) complain "$column" "$text" ;;
    esac
  done < "$work/crowd"
  if [ $status -gt 128 ]; then
    complain hangs "after $rounds rounds"
    kill -KILL -- "-$process"
  fi
  status=0
  wait "$process" 2> /dev/null || status=$?
  if [ $status != 0 ] && [ "$hangs" = 0 ]; then complain crashes "R ends with $status: $(tail -n 5 "$work/crowd.err")"; fi
  status=0
  rm "$work/crowd"
  cases=$((cases + rounds - 1))
  judge 'in the end'
  if [ ! -s "$work/acked" ]; then complain other 'nothing was logged'; fi
  end
}

# The pace of writers that wait for the disk, told and never judged.
pace() {
  local count runs=300 start rates=()
  begin 'eight writers that wait for the disk'
  for count in 1 8; do
    prepare birth
    start=$(date +%s%N)
    together $count $runs
    rates+=($((count * runs * 1000000000 / ($(date +%s%N) - start))))
    if [ $status != 0 ]; then complain other "$(head -n 1 "$work/refused")"; fi
    sort -n -k 2 "$work/acked" | awk -v count=$count -v rate="${rates[-1]}" '
      { wait[NR] = $2 / 1000 }
      END { printf "%d writing durably: %d runs/s; a call waits %.1f ms in the median, %.1f ms at p99, %.1f ms at most\n",
        count, rate, wait[int((NR + 1) / 2)], wait[int(NR * 0.99)], wait[NR] }' >> "$work/measured"
    judge "$count at once"
  done
  awk -v one="${rates[0]}" -v eight="${rates[1]}" \
    'BEGIN { printf "8 together log %.2f times as many per second as 1\n", eight / one }' >> "$work/measured"
  end
}

creators
pace
if [ -n "$short" ]; then rounds=10; else rounds=200; fi
in_r 'eight R writers, killed at random' killed $rounds
in_r 'fork storms (mclapply)' forks $((rounds / 5))
in_r 'SIGINT every millisecond' interrupts $((rounds / 5))
in_r 'an interrupt while waiting for the lock' waiting $((rounds / 10 + 4))
in_r 'a time limit while waiting for the lock' limits $((rounds / 10 + 4))
