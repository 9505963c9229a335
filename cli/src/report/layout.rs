//! Where workloads stand on the map: layers from left to right in each namespace, in the order in which they talk, and the
//! namespaces in shelves.
//!
//! The layers are those of Sugiyama, Tagawa and Toda (1981), made by rust-sugiyama on petgraph's graphs.

use std::collections::{BTreeMap, BTreeSet};

use rust_sugiyama::configure::{Config, RankingType};
use rust_sugiyama::from_vertices_and_edges;

use super::model::Area;

/// Height of a node, in pixels.
pub(super) const HEIGHT: f64 = 34.0;

/// Pixels between nodes of a layer, and between layers.
const GAP: f64 = 28.0;
/// Pixels between the border of a box and what is in it; its name needs more above.
const PADDING: f64 = 24.0;
const TITLE: f64 = 34.0;
/// Pixels between boxes.
const BETWEEN: f64 = 72.0;

/// Beyond so many nodes or edges a box is a grid: layers of so many say nothing, and take long.
const LAYERED: (usize, usize) = (600, 1500);
/// Up to so many nodes and edges, layers are worth the time of a second look at crossings.
const CAREFUL: (usize, usize) = (60, 200);

/// How much wider than high a map should be.
const ASPECT: f64 = 1.7;

/// Upper left corner and size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
}

/// Something to place: the width that its name needs, and the number of its box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thing {
    pub(super) width: f64,
    pub(super) area: usize,
}

/// The width that a name needs.
pub(super) fn width_of(name: &str) -> f64 {
    // Beside it stand the marks of isolation, the number of pods and the mark of a problem.
    (name.chars().count() as f64 * 7.8 + 84.0).clamp(110.0, 320.0)
}

/// Places things in boxes with these names, and the boxes; `edges` are pairs of things.
pub(super) fn layout(things: &[Thing], names: &[String], edges: &BTreeSet<(usize, usize)>) -> (Vec<Place>, Vec<Area>) {
    let mut places = vec![Place::default(); things.len()];
    let mut sizes = Vec::new();
    for (area, name) in names.iter().enumerate() {
        let members: Vec<usize> = (0..things.len()).filter(|at| things[*at].area == area).collect();
        let inside = |(client, server): &&(usize, usize)| {
            client != server && things[*client].area == area && things[*server].area == area
        };
        let own: Vec<(usize, usize)> = edges.iter().filter(inside).copied().collect();
        let (width, height) = fill(&members, things, &own, &mut places);
        let width = width.max(width_of(name) + 40.0);
        sizes.push((width + 2.0 * PADDING, height + TITLE + PADDING));
    }
    let corners = shelves(&order(things, names.len(), edges), &sizes);
    for (at, thing) in things.iter().enumerate() {
        let (x, y) = corners[thing.area];
        places[at].x += x + PADDING;
        places[at].y += y + TITLE;
    }
    let area = |(at, name): (usize, &String)| Area {
        name: name.clone(),
        x: corners[at].0,
        y: corners[at].1,
        width: sizes[at].0,
        height: sizes[at].1,
    };
    (places, names.iter().enumerate().map(area).collect())
}

/// Places the members of one box, from its corner on; width and height that they take.
fn fill(members: &[usize], things: &[Thing], edges: &[(usize, usize)], places: &mut [Place]) -> (f64, f64) {
    let talking: BTreeSet<usize> = edges.iter().flat_map(|(client, server)| [*client, *server]).collect();
    let is_few = talking.len() <= LAYERED.0 && edges.len() <= LAYERED.1;
    let layered = if is_few { talking } else { BTreeSet::new() };
    let (mut right, mut bottom): (f64, f64) = (0.0, 0.0);
    for part in layers(&layered, things, edges) {
        // One part of the graph below the other.
        let top = if bottom > 0.0 { bottom + GAP } else { 0.0 };
        for (at, x, y) in part {
            let width = things[at].width;
            places[at] = Place { x, y: top + y, width };
            (right, bottom) = (right.max(x + width), bottom.max(top + y + HEIGHT));
        }
    }
    // Whoever talks to nobody here stands in rows below.
    let alone: Vec<usize> = members.iter().copied().filter(|at| !layered.contains(at)).collect();
    let area: f64 = alone.iter().map(|at| (things[*at].width + GAP) * (HEIGHT + GAP)).sum();
    let limit = right.max((area * ASPECT).sqrt()).max(300.0);
    let (mut x, mut y) = (0.0, if bottom > 0.0 { bottom + GAP } else { 0.0 });
    for at in alone {
        let width = things[at].width;
        if x > 0.0 && x + width > limit {
            (x, y) = (0.0, y + HEIGHT + GAP);
        }
        places[at] = Place { x, y, width };
        (right, bottom) = (right.max(x + width), bottom.max(y + HEIGHT));
        x += width + GAP;
    }
    (right, bottom)
}

/// The connected parts, each with the places of its things from its own corner on.
fn layers(things: &BTreeSet<usize>, all: &[Thing], edges: &[(usize, usize)]) -> Vec<Vec<(usize, f64, f64)>> {
    if things.is_empty() {
        return Vec::new();
    }
    let config = Config {
        vertex_spacing: GAP,
        transpose: things.len() <= CAREFUL.0 && edges.len() <= CAREFUL.1,
        dummy_size: 0.5,
        // The library's network simplex does not always come to an end.
        ranking_type: RankingType::Original,
        ..Config::default()
    };
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    // The library draws from top to bottom: names are wide, so that turned by a quarter it fits more.
    let widest = things.iter().map(|at| all[*at].width).fold(0.0, f64::max);
    let vertices: Vec<(u32, (f64, f64))> = things.iter().map(|at| (number(*at), (HEIGHT, widest))).collect();
    let pairs: Vec<(u32, u32)> = edges
        .iter()
        .filter(|(client, server)| things.contains(client) && things.contains(server))
        .map(|(client, server)| (number(*client), number(*server)))
        .collect();
    let mut parts: Vec<Vec<(usize, f64, f64)>> = from_vertices_and_edges(&vertices, &pairs, &config)
        .into_iter()
        .map(|(part, _, _)| {
            let ids: Vec<usize> = things.iter().copied().collect();
            let mut part: Vec<(usize, f64, f64)> =
                part.into_iter().filter_map(|(place, (x, y))| Some((*ids.get(place)?, y, x))).collect();
            part.sort_by_key(|(at, ..)| *at);
            let left = part.iter().map(|(_, x, _)| *x).fold(f64::MAX, f64::min);
            let top = part.iter().map(|(.., y)| *y).fold(f64::MAX, f64::min);
            part.iter_mut().for_each(|(_, x, y)| (*x, *y) = ((*x - left).abs(), *y - top));
            part
        })
        .collect();
    parts.sort_by_key(|part| (std::cmp::Reverse(part.len()), part.first().map(|(at, ..)| *at)));
    parts
}

/// Boxes so that those that talk stand near each other: from the busiest on, always the one with the most edges to those
/// already there.
fn order(things: &[Thing], areas: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut between: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (client, server) in edges {
        let (one, other) = (things[*client].area, things[*server].area);
        *between.entry((one, other)).or_default() += 1;
        *between.entry((other, one)).or_default() += 1;
    }
    let weight = |one: usize, other: usize| between.get(&(one, other)).copied().unwrap_or_default();
    let all: Vec<usize> = (0..areas).map(|area| (0..areas).map(|other| weight(area, other)).sum()).collect();
    let mut left: Vec<usize> = (0..areas).collect();
    let mut order: Vec<usize> = Vec::new();
    while !left.is_empty() {
        let pull = |area: usize| {
            let near: usize = order.iter().rev().take(8).map(|there| weight(area, *there)).sum();
            (near, all[area])
        };
        let best = left.iter().enumerate().max_by_key(|(at, area)| (pull(**area), std::cmp::Reverse(*at)));
        let Some((at, _)) = best else { break };
        order.push(left.remove(at));
    }
    order
}

/// Corners of boxes in rows, from left to right and from right to left in turns.
fn shelves(order: &[usize], sizes: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let area: f64 = sizes.iter().map(|(width, height)| (width + BETWEEN) * (height + BETWEEN)).sum();
    let widest = sizes.iter().map(|(width, _)| *width).fold(0.0, f64::max);
    let limit = widest.max((area * ASPECT).sqrt());
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut x = f64::MAX;
    for area in order {
        let width = sizes[*area].0;
        match rows.last_mut() {
            Some(row) if x + width <= limit => row.push(*area),
            _ => {
                rows.push(vec![*area]);
                x = 0.0;
            }
        }
        x += width + BETWEEN;
    }
    let mut corners = vec![(0.0, 0.0); sizes.len()];
    let mut y = 0.0;
    for (number, row) in rows.iter_mut().enumerate() {
        if number % 2 == 1 {
            row.reverse();
        }
        let mut x = 0.0;
        for area in row.iter() {
            corners[*area] = (x, y);
            x += sizes[*area].0 + BETWEEN;
        }
        y += row.iter().map(|area| sizes[*area].1).fold(0.0, f64::max) + BETWEEN;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlaps(one: &(f64, f64, f64, f64), other: &(f64, f64, f64, f64)) -> bool {
        one.0 < other.0 + other.2 && other.0 < one.0 + one.2 && one.1 < other.1 + other.3 && other.1 < one.1 + one.3
    }

    /// `areas` boxes with `count` things each, and edges by a rule that needs no chance.
    fn drawn(areas: usize, count: usize) -> (Vec<Thing>, Vec<Place>, Vec<Area>) {
        let thing = |at: usize| Thing { width: 96.0 + (at * 37 % 160) as f64, area: at / count };
        let things: Vec<Thing> = (0..areas * count).map(thing).collect();
        let all = areas * count;
        let near = (0..all).filter(|at| at % 5 != 0).map(|at| (at, at / count * count + (at * 7 + 3) % count));
        let far = (0..all).step_by(4).map(|at| (at, (at * 31 + 17) % all));
        let edges: BTreeSet<(usize, usize)> = near.chain(far).collect();
        let names: Vec<String> = (0..areas).map(|at| format!("namespace-{at}")).collect();
        let (places, boxes) = layout(&things, &names, &edges);
        (things, places, boxes)
    }

    #[test]
    fn nothing_lies_upon_anything_else() {
        for (areas, count) in [(1, 1), (1, 12), (3, 8), (12, 20), (2, 80)] {
            let (things, places, boxes) = drawn(areas, count);
            let rects: Vec<_> = places.iter().map(|place| (place.x, place.y, place.width, HEIGHT)).collect();
            for (at, one) in rects.iter().enumerate() {
                let inside = &boxes[things[at].area];
                assert!(
                    one.0 >= inside.x && one.0 + one.2 <= inside.x + inside.width,
                    "{areas} {count}: {at} {one:?} {inside:?}"
                );
                assert!(one.1 >= inside.y && one.1 + one.3 <= inside.y + inside.height, "{areas} {count}: {at}");
                for (other, rect) in rects.iter().enumerate().skip(at + 1) {
                    assert!(!overlaps(one, rect), "{areas} {count}: {at} and {other}: {one:?} {rect:?}");
                }
            }
            let rects: Vec<_> = boxes.iter().map(|area| (area.x, area.y, area.width, area.height)).collect();
            for (at, one) in rects.iter().enumerate() {
                assert!(rects.iter().skip(at + 1).all(|other| !overlaps(one, other)), "{areas} {count}: box {at}");
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_places() {
        let once = drawn(6, 30);
        for _ in 0..3 {
            assert_eq!(drawn(6, 30).1, once.1);
        }
    }

    /// Dense boxes, as chance makes them: every one comes to an end.
    #[test]
    fn dense_boxes_come_to_an_end() {
        for (count, degree) in [(60, 20), (100, 20), (300, 5), (500, 10)] {
            let mut state: u64 = 0x9e37_79b9 + count as u64;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            let things = vec![Thing { width: 120.0, area: 0 }; count];
            let edges = (0..count * degree).map(|at| (at % count, (next() % count as u64) as usize)).collect();
            let (places, _) = layout(&things, &["shop".to_string()], &edges);
            let distinct: BTreeSet<(i64, i64)> = places.iter().map(|place| (place.x as i64, place.y as i64)).collect();
            assert_eq!(distinct.len(), count);
        }
    }

    #[test]
    fn clients_stand_left_of_servers() {
        let things = [Thing { width: 100.0, area: 0 }; 3];
        let (places, _) = layout(&things, &["shop".to_string()], &[(0, 1), (1, 2)].into_iter().collect());
        assert!(places[0].x < places[1].x && places[1].x < places[2].x, "{places:?}");
    }

    #[test]
    fn a_box_of_thousands_is_a_grid() {
        let (_, places, boxes) = drawn(1, 2000);
        assert_eq!(places.len(), 2000);
        assert!((0.3..4.0).contains(&(boxes[0].width / boxes[0].height)), "{:?}", boxes[0]);
    }
}
