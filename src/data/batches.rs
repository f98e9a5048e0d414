//! Mini-batches of rows.

use rand::Rng;
use rand::seq::SliceRandom;
use std::ops::Range;

/// The indices of the rows of each mini-batch, for one pass over the data.
///
/// Rows come in order, or shuffled. The last batch may be smaller than the others.
///
/// ```
/// use wengert::data::Batches;
/// use wengert::prelude::*;
/// let x = Tensor::from([[0, 1], [2, 3], [4, 5]]);
/// let mut sizes = Vec::new();
/// for batch in Batches::new(3, 2).shuffled(&mut wengert::rng(0)) {
///     sizes.push(x.select_rows(&batch).shape().clone());
/// }
/// assert_eq!(sizes, [Shape::from([2, 2]), Shape::from([1, 2])]);
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<usize>,
    left: Range<usize>,
    size: usize,
}

impl Batches {
    /// Batches of `size` of the rows `0..rows`, in order.
    ///
    /// # Panics
    /// If `size` is 0.
    ///
    /// ```
    /// use wengert::data::Batches;
    /// assert_eq!(Batches::new(5, 2).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3], vec![4]]);
    /// ```
    #[track_caller]
    pub fn new(rows: usize, size: usize) -> Self {
        assert!(size > 0, "Batches: a batch of 0 rows");
        Batches {
            order: (0..rows).collect(),
            left: 0..rows,
            size,
        }
    }

    /// The same batches of rows in random order.
    ///
    /// # Source
    /// Durstenfeld's form of the shuffle by Fisher and Yates (1964), from `rand`.
    ///
    /// ```
    /// use wengert::data::Batches;
    /// let batches = Batches::new(5, 2).shuffled(&mut wengert::rng(0));
    /// let mut rows: Vec<_> = batches.flatten().collect();
    /// rows.sort();
    /// assert_eq!(rows, [0, 1, 2, 3, 4]);
    /// ```
    pub fn shuffled(mut self, rng: &mut (impl Rng + ?Sized)) -> Self {
        self.order[self.left.clone()].shuffle(rng);
        self
    }

    /// The same without a last batch that is smaller than the others.
    ///
    /// ```
    /// use wengert::data::Batches;
    /// assert_eq!(Batches::new(5, 2).drop_last().collect::<Vec<_>>(), [[0, 1], [2, 3]]);
    /// ```
    pub fn drop_last(mut self) -> Self {
        self.left.end -= self.left.len() % self.size;
        self
    }
}

impl Iterator for Batches {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        if self.left.is_empty() {
            return None;
        }
        let start = self.left.start;
        self.left.start += self.left.len().min(self.size);
        Some(self.order[start..self.left.start].to_vec())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let batches = self.left.len().div_ceil(self.size);
        (batches, Some(batches))
    }
}

impl ExactSizeIterator for Batches {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    #[test]
    fn every_row_comes_once() {
        for (rows, size) in [(0, 3), (1, 3), (3, 3), (7, 3), (9, 3), (4, usize::MAX)] {
            let batches = Batches::new(rows, size).shuffled(&mut rng(1));
            assert_eq!(batches.len(), rows.div_ceil(size));
            let batches: Vec<_> = batches.collect();
            assert_eq!(batches.len(), rows.div_ceil(size));
            assert!(
                batches
                    .iter()
                    .rev()
                    .skip(1)
                    .all(|batch| batch.len() == size)
            );
            let mut seen = batches.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn shuffling_follows_the_generator() {
        let order = |seed| {
            Batches::new(100, 100)
                .shuffled(&mut rng(seed))
                .next()
                .unwrap()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_ne!(order(1), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_smaller_last_batch_is_dropped_on_demand() {
        let sizes = |rows| {
            Batches::new(rows, 3)
                .drop_last()
                .map(|b| b.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (sizes(7), sizes(6), sizes(2)),
            (vec![3, 3], vec![3, 3], vec![])
        );
        // The row left out is a random one, whichever comes first.
        let mut shuffled = Batches::new(7, 3).shuffled(&mut rng(0)).drop_last();
        assert_eq!((shuffled.len(), shuffled.next().unwrap().len()), (2, 3));
        assert_eq!(
            Batches::new(7, 3).drop_last().shuffled(&mut rng(0)).count(),
            2
        );
    }

    #[test]
    #[should_panic(expected = "Batches: a batch of 0 rows")]
    fn batches_of_nothing_panic() {
        Batches::new(3, 0);
    }
}
