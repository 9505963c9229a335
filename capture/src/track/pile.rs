//! A list that grows piece by piece, so that nothing moves when it does: a copy of a million entries costs more than the
//! bytes, because all of its pages are new.

/// Entries in one piece, a power of two.
const PIECE: usize = 1 << 12;

/// Entries by number, in the order in which they came.
#[derive(Debug)]
pub(super) struct Pile<T> {
    /// All are full but the last.
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Pile<T> {
    fn default() -> Pile<T> {
        Pile { pieces: Vec::new(), len: 0 }
    }
}

impl<T> Pile<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, entry: T) {
        if self.len.is_multiple_of(PIECE) {
            // A list of few entries is no page.
            let room = if self.len == 0 { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        self.pieces[self.len / PIECE].push(entry);
        self.len += 1;
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.pieces.get(number as usize / PIECE)?.get(number as usize % PIECE)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.pieces.get_mut(number as usize / PIECE)?.get_mut(number as usize % PIECE)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Keeps the entries whose numbers `keep` has; they get new numbers. They move within the pieces that are there: new
    /// ones would be new pages, too.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let mut kept = 0;
        for number in (0..self.len).filter(|number| keep[*number]) {
            match &mut self.pieces[kept / PIECE..=number / PIECE] {
                [piece] => piece.swap(kept % PIECE, number % PIECE),
                [piece, .., other] => std::mem::swap(&mut piece[kept % PIECE], &mut other[number % PIECE]),
                [] => {}
            }
            kept += 1;
        }
        self.pieces.truncate(kept.div_ceil(PIECE));
        if let Some(last) = self.pieces.last_mut() {
            last.truncate(kept - (kept - 1) / PIECE * PIECE);
        }
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_pushed_and_kept() {
        let mut pile = Pile::default();
        let all = 0..3 * PIECE as u32 + 5;
        all.clone().for_each(|number| pile.push(number));
        assert!(all.clone().all(|number| pile.get(number) == Some(&number)));
        assert_eq!(pile.get(all.end), None);
        pile.iter_mut().for_each(|entry| *entry += 1);
        let keep: Vec<bool> = all.clone().map(|number| number % 3 == 0).collect();
        pile.retain(&keep);
        assert!(pile.iter().copied().eq(all.step_by(3).map(|number| number + 1)));
        assert_eq!((pile.len(), pile.get_mut(2)), (PIECE + 2, Some(&mut 7)));
    }
}
