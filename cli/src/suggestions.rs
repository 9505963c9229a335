//! `unused --suggest`: policies without what is not needed, as files.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use synth::part::PolicyIndex;
use synth::policy::PolicySet;
use synth::render::count;
use synth::unused::suggest::Suggestions;

/// Writes what `--suggest` asks for, one file for each policy.
pub(crate) fn write(
    suggestions: &Suggestions,
    set: PolicySet<'_>,
    directory: &Path,
    quiet: bool,
) -> anyhow::Result<()> {
    let mut err = io::stderr().lock();
    for suggestion in &suggestions.policies {
        let PolicyIndex::Network(index) = suggestion.policy else { continue };
        let policy = &set.network[index];
        let file = directory.join(&policy.namespace).join(format!("{}.yaml", policy.name));
        let parts = count(suggestion.parts.len() as u64, "part");
        match &suggestion.yaml {
            Some(yaml) => {
                fs::create_dir_all(directory.join(&policy.namespace))
                    .with_context(|| directory.display().to_string())?;
                fs::write(&file, yaml).with_context(|| file.display().to_string())?;
                let lost = if suggestion.kept { "" } else { ", written anew: its comments are not kept" };
                if !quiet {
                    writeln!(err, "{}: {} without or with less of {parts}{lost}", file.display(), policy.id())?;
                }
            }
            None => writeln!(err, "{}: {} can be deleted", policy.origin, policy.id())?,
        }
    }
    if !quiet {
        for left in &suggestions.left {
            writeln!(err, "not suggested: {left}")?;
        }
        if suggestions.policies.is_empty() {
            writeln!(err, "nothing to suggest")?;
        }
    }
    Ok(())
}
