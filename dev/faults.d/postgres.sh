# Ledgers in a PostgreSQL database, on a server that is begun for each class.

# in_database HEADING WHAT ROUNDS: a class of postgres.R, which says `cases n` as it goes on, `column text` for each fault
# that it sees, `skipped why`, and `server folder` of what has to be ended where it couldn't.
in_database() {
  local column text server= skipped=
  begin "PostgreSQL: $1"
  fresh
  status=0
  bounded Rscript --vanilla dev/faults.d/postgres.R "$2" "$3" "$work/case" > "$work/said" 2> "$work/postgres.err" || status=$?
  while read -r column text; do
    case $column in
      cases) cases=$text ;;
      server) server=$text ;;
      skipped) skipped=$text ;;
      *) complain "$column" "$text" ;;
    esac
  done < "$work/said"
  if [ $status = 124 ]; then
    complain hangs "after $cases cases"
  elif [ $status != 0 ]; then
    complain crashes "R ends with $status: $(tail -n 5 "$work/postgres.err")"
  fi
  if [ -n "$server" ] && [ -d "$server" ]; then
    for process in "$server"/*/postmaster.pid; do kill -QUIT "$(head -n 1 "$process")" 2> /dev/null || true; done
    rm -rf "$server"
  fi
  if [ -n "$skipped" ]; then skip "$class" "$skipped"; else end; fi
}

# many SHORT LONG: rounds, or every which message a connection is cut at.
many() {
  if [ -n "$short" ]; then echo "$1"; else echo "$2"; fi
}

lacking=$(Rscript --vanilla dev/faults.d/postgres.R lacks 0 "$work")
if [ -n "$lacking" ]; then
  skip 'ledgers in PostgreSQL' "$lacking"
else
  in_database 'the server killed while eight log' killed_server "$(many 1 10)"
  in_database 'clients killed' killed_client "$(many 1 20)"
  in_database 'clients killed as they wait' killed_waiting "$(many 2 20)"
  in_database 'cut at each message' cut "$(many 11 1)"
  in_database 'cut at each message of the first' cut_first "$(many 25 1)"
  in_database 'eight, cut at random' cut_crowd "$(many 10 200)"
  in_database 'a server that follows, and takes over' standby "$(many 1 6)"
  in_database 'an older backup restored' backup "$(many 1 10)"
  in_database 'rows rewritten' rewritten "$(many 2 20)"
  in_database 'eight who do everything' mixed "$(many 1 10)"
  in_database 'those who may not' rights "$(many 50 1000)"
  in_database 'names of all sorts' names_of_all_sorts "$(many 5 100)"
  in_database 'what sessions are set to' settings "$(many 6 1)"
  in_database 'servers and roles in a hurry' hasty "$(many 1 8)"
  in_database 'inside a transaction' transactions "$(many 1 10)"
  in_database 'objects that are not their names' poisoned "$(many 1 20)"
fi
