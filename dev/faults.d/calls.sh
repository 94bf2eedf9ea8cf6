# Every file system call of a write and of a recovery: killed at it, failing, interrupted.

calls='?openat,?flock,?fstat,?newfstatat,?statx,?fstatfs,?statfs,?pread64,?write,?ftruncate,?fdatasync,?fsync'
calls+=',?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?close,?getrandom'

# instances MARK PROGRAM…: each call and which of its kind it is, from the one that shows MARK on.
instances() {
  local mark=$1
  shift
  bounded strace -qq -o "$work/trace" -e trace="$calls" "$@" > /dev/null 2>&1 || true
  awk -v mark="$mark" '
    !/^[a-z0-9_]+\(/ { next }
    { name = $0; sub(/\(.*/, "", name); n[name]++ }
    seen { print name, n[name] }
    !seen && index($0, mark) { seen = 1; if (mark ~ /^\//) print name, n[name] }' "$work/trace"
}

# inject CALL FAULT [CALL FAULT] -- PROGRAM…
inject() {
  local options=()
  while [ "$1" != -- ]; do options+=(-e "inject=$1:$2"); shift 2; done
  shift
  attempt strace -qq -o /dev/null -e trace="$calls" "${options[@]}" "$@"
}

# at_every_call HEADING FAULTS START…: the faults, with {n} for the number of the call.
at_every_call() {
  local heading=$1 faults=$2 start call n fault
  shift 2
  begin "$heading"
  for start; do
    prepare "$start"
    instances "$ledger" "$writer" "$ledger" x 2 > "$work/instances"
    local locked=
    while read -r call n; do
      if [ "$call" = flock ]; then locked=yes; fi
      for fault in $faults; do
        fault=${fault//\{n\}/$n}
        if [ "${fault#*EINTR}" != "$fault" ]; then
          # Those that the system never interrupts.
          case $call in close | *stat*) continue ;; esac
        fi
        prepare "$start"
        inject "$call" "$fault" -- "$writer" "$ledger" x 2
        # A failed close or unlock (every second flock) says nothing of the data, for statx there is another call, and
        # what is read before the lock is read again under it.
        case $fault:$call:$((n % 2)):$locked in
          *:close:* | *:statx:* | *:flock:0:* | *:pread64:*: | signal*) ;;
          *EINTR*) if [ $status != 0 ]; then complain other "$start: $call $fault: gives up"; fi ;;
          *) if [ $status = 0 ]; then complain falsely "$start: $call $fault: acknowledged"; fi ;;
        esac
        judge "$start: $call $fault" "$(case $fault in signal*) echo killed ;; esac)"
      done
    done < "$work/instances"
  done
  end
}

# killed_while_handling HEADING MARK START [CALL FAULT] -- PROGRAM…: killed at every call after the fault.
killed_while_handling() {
  local mark=$1 start=$2 first=() call n
  shift 2
  while [ "$1" != -- ]; do first+=("$1" "$2"); shift 2; done
  shift
  prepare "$start"
  instances "$mark" ${first[@]+-e "inject=${first[0]}:${first[1]}"} "$@" > "$work/instances"
  while read -r call n; do
    if [ "$call" = "${first[0]:-}" ]; then continue; fi
    prepare "$start"
    inject "${first[@]}" "$call" "signal=KILL:when=$n" -- "$@"
    judge "$start: ${first[*]:-$mark}, then killed at $call $n" killed
  done < "$work/instances"
}

every_call() {
  local once='error=EIO:when={n} error=ENOSPC:when={n}' on='error=EIO:when={n}+ error=ENOSPC:when={n}+'
  local births=(birth 'half a header') recoveries=(recovery 'half a first row')
  if [ -n "$short" ]; then once='error=EIO:when={n}' on='error=ENOSPC:when={n}+'; fi
  at_every_call 'SIGKILL at every call: birth' 'signal=KILL:when={n}' "${births[@]}"
  at_every_call 'SIGKILL at every call: append' 'signal=KILL:when={n}' append
  at_every_call 'SIGKILL at every call: recovery' 'signal=KILL:when={n}' "${recoveries[@]}"
  at_every_call 'EIO, ENOSPC once at every call: birth' "$once" "${births[@]}"
  at_every_call 'EIO, ENOSPC once at every call: append' "$once" append
  at_every_call 'EIO, ENOSPC once at every call: recovery' "$once" "${recoveries[@]}"
  at_every_call 'EIO, ENOSPC from every call on: birth' "$on" "${births[@]}"
  at_every_call 'EIO, ENOSPC from every call on: append' "$on" append
  at_every_call 'EIO, ENOSPC from every call on: recovery' "$on" "${recoveries[@]}"
  at_every_call 'EINTR once at every call' 'error=EINTR:when={n}' birth append recovery

  begin 'SIGKILL while an error is handled'
  local start limit
  for start in birth append recovery; do
    killed_while_handling INJECTED "$start" fdatasync error=EIO:when=1 -- "$writer" "$ledger" x 2
    killed_while_handling INJECTED "$start" fsync error=EIO:when=1 -- "$writer" "$ledger" x 2
    killed_while_handling INJECTED "$start" write error=ENOSPC:when=1 -- "$writer" "$ledger" x 2
    killed_while_handling INJECTED "$start" flock error=EIO:when=2 -- "$writer" "$ledger" x 2
  done
  limit=$(($(wc -c < "$work/base.csv") + 150))
  trap '' XFSZ
  for start in append recovery; do
    killed_while_handling EFBIG "$start" -- prlimit --fsize="$limit" "$writer" "$ledger" x 2
  done
  trap - XFSZ
  end

  begin 'errors on top of errors'
  local second
  for start in append recovery; do
    for second in ftruncate flock statx; do
      for fault in 'fdatasync error=EIO:when=1' 'write error=ENOSPC:when=1' 'fsync error=EIO:when=1'; do
        prepare "$start"
        # From the call on that comes after the first fault; before it they are needed.
        n=$(instances INJECTED -e "inject=${fault/ /:}" "$writer" "$ledger" x 2 |
          awk -v call="$second" '$1 == call { print $2; exit }')
        if [ -z "$n" ]; then continue; fi
        prepare "$start"
        # shellcheck disable=SC2086
        inject $fault "$second" "error=EIO:when=$n+" -- "$writer" "$ledger" x 2
        judge "$start: $fault, then $second EIO"
      done
    done
  done
  end
}

fdatasync_once() {
  local n=2 told
  begin 'fdatasync fails once, then succeeds'
  for n in 1 2 3 4 5; do
    prepare append
    inject fdatasync "error=EIO:when=$n" -- "$writer" "$ledger" x 5
    told=$(grep -c '^x-' "$work/acked" || true)
    if [ "$told" != 4 ] || ! grep -q "^durability_unknown x-$n " "$work/refused"; then
      complain falsely "the flush of run $n fails, $told of 5 are acknowledged: $(cat "$work/refused")"
    fi
    judge "the flush of run $n fails"
    # Others may have gone on from it.
    if ! grep -q ",x-$n," "$ledger"; then complain other "run $n doesn't stand"; fi
  done
  end
}

failed_birth_over_a_link() {
  begin 'a birth that fails over a dangling link'
  local call
  for call in write fstatfs getrandom fdatasync; do
    prepare birth
    mkdir "$work/case/elsewhere"
    ln -s elsewhere/log.csv "$ledger"
    # The third random bytes are the first that the append asks for itself.
    inject $call "error=ENOSPC:when=$([ $call = getrandom ] && echo 3 || echo 1)+" -- "$writer" "$ledger" x 1
    if [ ! -L "$ledger" ]; then complain other "$call fails: the link is gone"; fi
    judge "$call fails"
  done
  end
}

if strace -qq -o /dev/null -e inject=sync:error=EIO true 2> /dev/null; then
  every_call
  fdatasync_once
  failed_birth_over_a_link
else
  skip 'every system call' "strace can't trace here"
fi
