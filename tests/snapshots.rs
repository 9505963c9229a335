//! What each subcommand prints about the recordings in `pcaps/`.

use crate::program::Run;
use crate::recordings::RECORDINGS;

fn transcript(run: &Run) -> String {
    format!("{}\n--- stderr\n{}--- exit {}\n", run.stdout, run.stderr, run.exit)
}

#[test]
fn subcommands_on_the_recordings() {
    let commands = [
        ("flows-table", "flows"),
        ("flows-json", "flows -o json"),
        ("flows-dot", "flows -o dot"),
        ("flows-mermaid", "flows -o mermaid"),
        ("generate", "generate --default-deny"),
        ("check-table", "check"),
        ("check-json", "check -o json"),
    ];
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        for recording in &RECORDINGS {
            for (name, args) in commands {
                insta::assert_snapshot!(format!("{}-{name}", recording.name), transcript(&recording.run(args)));
            }
        }
    });
}
