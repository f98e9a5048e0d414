//! Colorings of graphs, by which a sparse matrix is found from few products with vectors.
//!
//! A product with a vector that is 1 for all columns of one color has, in each row, the sum of the row's entries in these columns. If
//! there is but one, it can be read off.
//!
//! Source: A. H. Gebremedhin, F. Manne and A. Pothen, What color is your Jacobian? Graph coloring for computing derivatives,
//! SIAM Review 47 (2005).

/// Which entries of a matrix may be other than 0: the columns of each row, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    columns: usize,
    /// Where each row starts in `entries`, and the end.
    starts: Vec<usize>,
    entries: Vec<u32>,
}

impl Pattern {
    /// The pattern whose rows have these columns, in any order.
    pub(crate) fn from_rows(columns: usize, rows: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for mut row in rows {
            row.sort_unstable();
            row.dedup();
            entries.extend(row);
            starts.push(entries.len());
        }
        Pattern {
            columns,
            starts,
            entries,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row(&self, i: usize) -> &[u32] {
        &self.entries[self.starts[i]..self.starts[i + 1]]
    }

    pub(crate) fn transposed(&self) -> Pattern {
        let mut starts = vec![0; self.columns + 1];
        for &j in &self.entries {
            starts[j as usize + 1] += 1;
        }
        for j in 0..self.columns {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let mut entries = vec![0; self.entries.len()];
        for i in 0..self.rows() {
            for &j in self.row(i) {
                entries[next[j as usize]] = i as u32;
                next[j as usize] += 1;
            }
        }
        Pattern {
            columns: self.rows(),
            starts,
            entries,
        }
    }
}

/// A color for each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coloring {
    pub(crate) colors: Vec<u32>,
    /// The number of colors.
    pub(crate) count: usize,
}

/// The color of a vertex that has none yet.
const NONE: u32 = u32::MAX;

/// Colors that a vertex must not have, forgotten for the next vertex at no cost.
struct Forbidden {
    by: Vec<u32>,
}

impl Forbidden {
    fn new() -> Self {
        Forbidden { by: Vec::new() }
    }

    fn forbid(&mut self, color: u32, vertex: u32) {
        let color = color as usize;
        if self.by.len() <= color {
            self.by.resize(color + 1, NONE);
        }
        self.by[color] = vertex;
    }

    fn has(&self, color: u32, vertex: u32) -> bool {
        self.by.get(color as usize) == Some(&vertex)
    }

    /// The smallest color allowed.
    fn smallest(&self, vertex: u32) -> u32 {
        let free = self.by.iter().position(|&by| by != vertex);
        free.unwrap_or(self.by.len()) as u32
    }
}

/// The vertices, those with the largest weight first.
fn largest_first(n: usize, weight: impl Fn(usize) -> usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.sort_by_key(|&v| std::cmp::Reverse(weight(v as usize)));
    order
}

fn count(colors: Vec<u32>) -> Coloring {
    let count = colors.iter().max().map_or(0, |&c| c as usize + 1);
    Coloring { colors, count }
}

/// Colors columns so that those with an entry in the same row differ: greedily, those that meet most others first.
pub(crate) fn color_columns(pattern: &Pattern) -> Coloring {
    let by_column = pattern.transposed();
    let weight = |j: usize| {
        let rows = by_column.row(j).iter();
        rows.map(|&i| pattern.row(i as usize).len()).sum()
    };
    let mut colors = vec![NONE; pattern.columns()];
    let mut forbidden = Forbidden::new();
    for v in largest_first(pattern.columns(), weight) {
        for &i in by_column.row(v as usize) {
            for &other in pattern.row(i as usize) {
                if colors[other as usize] != NONE {
                    forbidden.forbid(colors[other as usize], v);
                }
            }
        }
        colors[v as usize] = forbidden.smallest(v);
    }
    count(colors)
}

/// Colors the columns of a symmetric matrix so that each entry, or its mirror image, can be read off: neighbors differ, and
/// every path of four vertices has three colors at least (a star coloring).
pub(crate) fn color_symmetric(pattern: &Pattern) -> Coloring {
    let n = pattern.columns();
    let neighbors = |v: u32| {
        let row = pattern.row(v as usize).iter().copied();
        row.filter(move |&w| w != v)
    };
    let mut colors = vec![NONE; n];
    let mut forbidden = Forbidden::new();
    for v in largest_first(n, |v| pattern.row(v).len()) {
        for w in neighbors(v).filter(|&w| colors[w as usize] != NONE) {
            forbidden.forbid(colors[w as usize], v);
        }
        for w in neighbors(v) {
            let color = colors[w as usize];
            for x in neighbors(w) {
                let second = colors[x as usize];
                // What neighbors forbid comes first: where many of them meet, that is all, and a look along the path is dear.
                if x == v || second == NONE || forbidden.has(second, v) {
                    continue;
                }
                // With `w` yet to be colored, its neighbors must differ. Else the path goes on: v, w, x and some y with the
                // color of w would have two colors.
                let two_colored =
                    color == NONE || neighbors(x).any(|y| y != w && colors[y as usize] == color);
                if two_colored {
                    forbidden.forbid(second, v);
                }
            }
        }
        colors[v as usize] = forbidden.smallest(v);
    }
    count(colors)
}

/// Where each entry of a symmetric matrix, row by row, stands among the products with the colors of a star coloring, of which there is
/// one for each row and color.
pub(crate) fn places_of_symmetric(pattern: &Pattern, coloring: &Coloring) -> Vec<usize> {
    let color = |j: u32| coloring.colors[j as usize] as usize;
    let mut places = Vec::with_capacity(pattern.entries.len());
    let mut in_row = vec![0; coloring.count];
    for i in 0..pattern.rows() {
        let row = pattern.row(i);
        row.iter().for_each(|&j| in_row[color(j)] += 1);
        places.extend(row.iter().map(|&j| {
            if in_row[color(j)] == 1 {
                i * coloring.count + color(j)
            } else {
                j as usize * coloring.count + color(i as u32)
            }
        }));
        row.iter().for_each(|&j| in_row[color(j)] = 0);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symmetric pattern with a full diagonal and the edges given.
    fn symmetric(n: usize, edges: &[(usize, usize)]) -> Pattern {
        let mut rows: Vec<Vec<u32>> = (0..n as u32).map(|i| vec![i]).collect();
        for &(i, j) in edges {
            rows[i].push(j as u32);
            rows[j].push(i as u32);
        }
        Pattern::from_rows(n, rows)
    }

    fn random_edges(n: usize, count: usize, mut seed: u64) -> Vec<(usize, usize)> {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % n
        };
        let pairs = (0..count).map(|_| (next(), next()));
        pairs.filter(|(i, j)| i != j).collect()
    }

    /// Rebuilds a symmetric matrix from its products with the colors.
    fn assert_recovers(pattern: &Pattern) {
        let coloring = color_symmetric(pattern);
        let n = pattern.columns();
        let entry = |i: usize, j: usize| (1 + i.min(j) + 1000 * i.max(j)) as f64;
        let mut products = vec![vec![0.0; coloring.count]; n];
        for (i, product) in products.iter_mut().enumerate() {
            for &j in pattern.row(i) {
                product[coloring.colors[j as usize] as usize] += entry(i, j as usize);
            }
        }
        let products = products.concat();
        let mut places = places_of_symmetric(pattern, &coloring).into_iter();
        for i in 0..n {
            for &j in pattern.row(i) {
                let found = places.next().map(|place| products[place]);
                assert_eq!(found, Some(entry(i, j as usize)), "({i}, {j})");
            }
        }
    }

    #[test]
    fn columns_of_a_row_differ() {
        for seed in 0..20 {
            let mut rows = vec![Vec::new(); 40];
            for (i, j) in random_edges(40, 120, seed) {
                rows[i].push(j as u32);
            }
            let pattern = Pattern::from_rows(40, rows);
            let coloring = color_columns(&pattern);
            for i in 0..40 {
                let mut colors: Vec<u32> = pattern
                    .row(i)
                    .iter()
                    .map(|&j| coloring.colors[j as usize])
                    .collect();
                colors.sort_unstable();
                colors.dedup();
                assert_eq!(colors.len(), pattern.row(i).len(), "row {i}");
            }
        }
    }

    #[test]
    fn known_patterns_take_few_colors() {
        let band = Pattern::from_rows(
            50,
            (0..50_u32).map(|i| (0..50).filter(|&j| i.abs_diff(j) <= 1).collect()),
        );
        assert_eq!(color_columns(&band).count, 3);
        assert_eq!(color_symmetric(&band).count, 3);
        // An arrow: as Jacobian it takes as many colors as columns, as Hessian two.
        let arrow = symmetric(30, &(1..30).map(|i| (0, i)).collect::<Vec<_>>());
        assert_eq!(color_columns(&arrow).count, 30);
        assert_eq!(color_symmetric(&arrow).count, 2);
        let diagonal = symmetric(9, &[]);
        assert_eq!(color_columns(&diagonal).count, 1);
        assert_eq!(color_symmetric(&diagonal).count, 1);
        assert_eq!(color_columns(&Pattern::from_rows(0, [])).count, 0);
    }

    #[test]
    fn symmetric_entries_are_recovered() {
        for seed in 0..40 {
            assert_recovers(&symmetric(
                30,
                &random_edges(30, 20 + 4 * seed, seed as u64),
            ));
        }
        let all: Vec<_> = (0..8).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        assert_recovers(&symmetric(8, &all));
        // Without a diagonal, too.
        let rows = (0..9_u32).map(|i| vec![(i + 1) % 9, (i + 8) % 9]);
        assert_recovers(&Pattern::from_rows(9, rows));
    }

    #[test]
    fn each_column_of_a_full_matrix_has_a_color_of_its_own() {
        let full = Pattern::from_rows(600, (0..600).map(|_| (0..600).collect()));
        assert_eq!(color_symmetric(&full).count, 600);
    }

    #[test]
    fn a_transposed_pattern_has_the_same_entries() {
        let pattern = Pattern::from_rows(3, [vec![2, 0], vec![], vec![1, 2, 2]]);
        let transposed = pattern.transposed();
        assert_eq!(
            transposed,
            Pattern::from_rows(3, [vec![0], vec![2], vec![0, 2]])
        );
        assert_eq!(transposed.transposed(), pattern);
        assert_eq!((pattern.rows(), pattern.entries.len()), (3, 4));
    }
}
