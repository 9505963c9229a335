//! What was watched, and how much was learned.

use synth::completeness::{Completeness, State};

use crate::completeness;
use crate::report::facts::Facts;
use crate::report::model::{Coverage, Learning, Source};
use crate::report::unseen::unseen;
use crate::report::verdict::some;

pub(super) fn coverage(facts: &Facts<'_>) -> Coverage {
    let watch = &facts.coverage.watch;
    let window = watch.window.as_ref();
    let source = |source: &crate::source::Source| Source {
        name: source.name.clone(),
        from: source.span.map(|(from, _)| from.to_string()),
        to: source.span.map(|(_, to)| to.to_string()),
        frames: source.frames,
        lost: source.dropped(),
        damage: source.damage.as_ref().map(ToString::to_string),
    };
    Coverage {
        from: window.map(|window| window.from().to_string()),
        to: window.map(|window| window.to().to_string()),
        gaps: window
            .map(|window| window.gaps().iter().map(|(from, to)| [from.to_string(), to.to_string()]).collect())
            .unwrap_or_default(),
        nodes: [facts.coverage.nodes.0, facts.coverage.nodes.1],
        pods: [facts.coverage.pods.0, facts.coverage.pods.1],
        lost: watch.lost,
        connections: facts.doubts.conversations,
        unresolved: facts.doubts.unresolved,
        guessed: facts.doubts.guessed,
        ambiguous: facts.doubts.ambiguous,
        sources: facts.traffic.sources.iter().map(source).collect(),
        unseen: unseen(facts),
        learning: facts.learned.map(learning),
    }
}

fn learning(learned: &Completeness) -> Learning {
    let Completeness { window, total, workloads } = learned;
    let still: Vec<String> = workloads
        .iter()
        .filter(|(_, learned)| learned.state == State::Learning)
        .map(|(workload, _)| workload.to_string())
        .collect();
    let sentence = completeness::sentence(total, window);
    // The headline says the state.
    let mut facts = vec![sentence.split_once(": ").map_or(sentence.clone(), |(_, rest)| rest.to_string())];
    if !still.is_empty() && window.watched() >= synth::completeness::HOUR {
        let (count, all) = (still.len(), workloads.len());
        facts.push(format!("{count} of {all} workloads are still learning: {}", some(&still)));
    }
    Learning {
        status: match total.state {
            State::Learning => "learning",
            State::Settling => "settling",
            State::Stable => "settled",
        },
        headline: match total.state {
            State::Learning => "Still learning".to_string(),
            State::Settling => "Settling".to_string(),
            State::Stable => "Stable".to_string(),
        },
        facts,
    }
}
