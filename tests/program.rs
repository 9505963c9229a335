//! Running the program.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The program in a directory, so that no output holds a path of this machine, on the second day of [`crate::traffic`].
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env("RINGFENCE_TODAY", "2026-11-02");
    // No cluster of whoever runs the tests.
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST").env("HOME", directory);
    command
}

/// Runs it; `args` are separated by spaces.
pub fn run(directory: &Path, args: &str) -> Run {
    run_with_input(directory, args, b"")
}

/// Runs it with bytes on its standard input.
pub fn run_with_input(directory: &Path, args: &str, input: &[u8]) -> Run {
    let mut child = command(directory)
        .args(args.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments never reads: a closed pipe is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Run {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
