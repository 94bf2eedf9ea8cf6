# What others have put where we read and write, seen from R.

# by_r HEADING WHAT: a class of others.R, which says `case text` for each, `column text` for each fault, and `skip text`.
by_r() {
  local column text last=
  begin "$1"
  fresh
  status=0
  bounded Rscript --vanilla dev/faults.d/others.R "$2" "$work/case" > "$work/said" 2> "$work/others.err" || status=$?
  while read -r column text; do
    case $column in
      case) cases=$((cases + 1)) last=$text ;;
      skip) skip "$1" "$text" ;;
      *) complain "$column" "$text" ;;
    esac
  done < "$work/said"
  if [ $status = 124 ]; then
    complain hangs "after $last"
  elif [ $status != 0 ]; then
    complain crashes "R ends with $status after $last: $(tail -n 5 "$work/others.err")"
  fi
  end
}

by_r 'an index that others may have written' indexes
by_r 'exports over the files of others' exports
by_r 'what editors and other tools make of a ledger' rewritten
by_r 'links and FIFOs under names that could be foreseen' planted
by_r 'processes that are hidden, or counted otherwise' unseen
by_r 'standard streams that are closed' streams
