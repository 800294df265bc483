# shellcheck shell=sh
# What home-program.sh needs for Nodemailer: nothing, because its options are a file of ours, which the app loads.

program_release() { :; }

check_program() { :; }

apply_program() { :; }

check_applied() { :; }
