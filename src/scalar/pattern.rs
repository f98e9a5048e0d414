//! Which derivatives are other than 0: found from a recorded graph, whatever the values.

use super::coloring::Pattern;
use super::patterned::Link;

/// Marks vertices, and forgets them for the next search at no cost.
struct Marks {
    by: Vec<u32>,
    search: u32,
}

impl Marks {
    fn new(n: usize) -> Self {
        Marks {
            by: vec![0; n],
            search: 0,
        }
    }

    /// Whether a vertex is met for the first time in this search.
    fn is_new(&mut self, vertex: u32) -> bool {
        std::mem::replace(&mut self.by[vertex as usize], self.search) != self.search
    }
}

fn operands<T>(link: &Link<T>) -> &[u32] {
    &link.operands[..usize::from(link.arity)]
}

/// The variables that each result depends on. A result without a node is a constant.
pub(super) fn of_jacobian<T>(
    links: &[Link<T>],
    variables: usize,
    results: &[Option<u32>],
) -> Pattern {
    let mut marks = Marks::new(links.len());
    let mut open = Vec::new();
    let rows = results.iter().map(|&result| {
        marks.search += 1;
        let mut row = Vec::new();
        open.extend(result.filter(|&node| marks.is_new(node)));
        while let Some(node) = open.pop() {
            if (node as usize) < variables {
                row.push(node);
            }
            for &operand in operands(&links[node as usize]) {
                if marks.is_new(operand) {
                    open.push(operand);
                }
            }
        }
        row
    });
    Pattern::from_rows(variables, rows)
}

/// Pairs of nodes by which a second derivative of the result may be other than 0, each kept at the later of the two.
struct Pairs(Vec<Vec<u32>>);

impl Pairs {
    fn add(&mut self, a: u32, b: u32) {
        let row = &mut self.0[a.max(b) as usize];
        // Most repetitions come at once.
        if row.last() != Some(&a.min(b)) {
            row.push(a.min(b));
        }
    }
}

/// The pairs of variables by which the second derivative of a result may be other than 0.
///
/// From the last node to the first, pairs of a node are pushed on to its operands, and those of its own curvature are added: the
/// symbolic side of edge pushing (R. M. Gower and M. P. Mello, A new framework for the computation of Hessians, 2012). Sums cost
/// nothing, however long.
pub(super) fn of_hessian<T>(links: &[Link<T>], variables: usize, result: Option<u32>) -> Pattern {
    let mut active = vec![false; links.len()];
    if let Some(node) = result {
        active[node as usize] = true;
    }
    let mut pairs = Pairs(vec![Vec::new(); links.len()]);
    for node in (variables..links.len()).rev() {
        let link = &links[node];
        let operands = operands(link);
        let mut others = std::mem::take(&mut pairs.0[node]);
        others.sort_unstable();
        others.dedup();
        for other in others {
            for (i, &a) in operands.iter().enumerate() {
                if other as usize != node {
                    pairs.add(a, other);
                    continue;
                }
                for &b in &operands[i..] {
                    pairs.add(a, b);
                }
            }
        }
        if !active[node] {
            continue;
        }
        let [a, b] = link.operands;
        for (curved, (a, b)) in link.curved.iter().zip([(a, a), (a, b), (b, b)]) {
            if *curved {
                pairs.add(a, b);
            }
        }
        for &operand in operands {
            active[operand as usize] = true;
        }
    }
    let mut rows = vec![Vec::new(); variables];
    for (i, others) in pairs.0.into_iter().take(variables).enumerate() {
        for j in others {
            rows[i].push(j);
            rows[j as usize].push(i as u32);
        }
    }
    Pattern::from_rows(variables, rows)
}
