#!/bin/sh
# Finds Rust, says which one, and writes $1 (src/Makevars or src/Makevars.win) from its .in file.
set -eu
makevars=$1

stop() {
  printf '%s\n' '' "$@" '' \
    "fitledger has a Rust core and is compiled with Cargo and rustc $wanted or newer:" \
    '  Debian, Ubuntu   apt-get install cargo rustc (Debian 12: cargo-web rustc-web)' \
    '  Fedora           dnf install cargo rust' \
    '  macOS            brew install rust' \
    '  anywhere         https://www.rust-lang.org/tools/install' '' >&2
  exit 1
}

wanted=$(sed -n 's/.*rustc (>= *\([0-9.]*\)).*/\1/p' DESCRIPTION)

# rustup installs here, and an R started from a desktop doesn't have it on its PATH.
PATH=$PATH:${HOME:-}/.cargo/bin
command -v cargo >/dev/null || stop 'Cargo was not found.'
command -v rustc >/dev/null || stop 'rustc, the Rust compiler, was not found.'
cargo_version=$(cargo --version) || stop 'Cargo was found, but does not run.'
rustc_version=$(rustc --version) || stop 'rustc was found, but does not run.'
echo "using $cargo_version"
echo "using $rustc_version"

echo "$rustc_version" | awk -v wanted="$wanted" '{
  split($2, have, "."); split(wanted, want, ".")
  exit !(have[1] + 0 > want[1] + 0 || (have[1] + 0 == want[1] + 0 && have[2] + 0 >= want[2] + 0))
}' || stop "This is $rustc_version, which is too old."

# CRAN builds from the crates in the archive; without it (a checkout in the making) Cargo fetches them.
flags='--locked -j 2'
if [ -f src/rust/vendor.tar.xz ]; then flags="$flags --offline"; fi

target=
if [ "$makevars" = src/Makevars.win ]; then
  case $("$R_HOME/bin${R_ARCH_BIN:-}/Rscript.exe" -e 'cat(R.version$arch)') in
    aarch64) target=aarch64-pc-windows-gnullvm ;;
    *) target=x86_64-pc-windows-gnu ;;
  esac
fi

# In one step, for another installation from this folder may be reading it.
sed -e "s|@CARGO_BIN@|$(dirname "$(command -v cargo)")|" \
    -e "s|@CARGO_FLAGS@|$flags|" \
    -e "s|@TARGET@|$target|" "$makevars.in" > "$makevars.$$"
mv "$makevars.$$" "$makevars"
