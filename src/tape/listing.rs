//! The record as text and as a drawing: the Wengert list.

use super::arena::{Graph, Tape, TapeRef};
use super::node::{Node, Op, View};
use crate::element::with_any;
use std::fmt::{self, Write};

/// The two parts of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Forward,
    Gradient,
}

impl Part {
    const ALL: [Part; 2] = [Part::Forward, Part::Gradient];

    fn of(node: &Node) -> Self {
        match node.derived {
            true => Part::Gradient,
            false => Part::Forward,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Part::Forward => "forward",
            Part::Gradient => "gradient",
        }
    }
}

/// An operation with its arguments.
fn described(node: &Node) -> String {
    let name = node.op.name();
    match &node.op {
        Op::Leaf if !node.tracked => "constant".to_string(),
        Op::Fill(number) => with_any!(number, number => format!("{name} {number:?}")),
        Op::View(View::Alias) if !node.tracked => "stop_gradient".to_string(),
        Op::View(View::Permute(order)) => format!("{name} {order}"),
        Op::View(View::Slice { axis, start, step }) => {
            format!("{name} axis {axis} from {start} step {step}")
        }
        Op::Reduce(_, axes) => format!("{name} along {axes}"),
        // Operations have names of their makers' choice; a line is one node.
        _ => name.replace(char::is_control, " "),
    }
}

fn type_of(node: &Node) -> String {
    format!("{}{}", node.dtype, *node.shape)
}

fn inputs_of(node: &Node) -> String {
    let inputs = node.inputs.iter().map(|input| format!("%{input}"));
    inputs.collect::<Vec<_>>().join(" ")
}

fn line_of(node: &Node) -> String {
    format!("{}:{}", node.location.file(), node.location.line())
}

/// The list: a row for each node, in the order of recording.
fn write_list(graph: &Graph, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let nodes = &graph.nodes;
    if nodes.is_empty() {
        return f.write_str("an empty tape\n");
    }
    let rows: Vec<[String; 4]> = nodes
        .iter()
        .enumerate()
        .map(|(k, node)| {
            [
                format!("%{k}"),
                described(node),
                inputs_of(node),
                type_of(node),
            ]
        })
        .collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let width = |column: usize| widest(column).unwrap_or_default();
    let (number, name, inputs, kind) = (width(0), width(1), width(2), width(3));
    let mut part = None;
    for (node, row) in nodes.iter().zip(&rows) {
        let now = Part::of(node);
        if part != Some(now) {
            writeln!(f, "{}", now.name())?;
            part = Some(now);
        }
        let [k, operation, read, types] = row;
        let line = line_of(node);
        writeln!(
            f,
            "  {k:<number$} = {operation:<name$}  {read:<inputs$}  {types:<kind$}  {line}"
        )?;
    }
    Ok(())
}

/// What is recorded, as a list: for each node its number, the operation, the nodes it reads, type and
/// shape, and the line of the program that recorded it. What differentiating recorded stands under
/// `gradient`, with the lines of the operations that were differentiated.
impl fmt::Display for TapeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.live() {
            Some(arena) => write_list(&arena.graph.borrow(), f),
            None => f.write_str("a tape that was reset or dropped\n"),
        }
    }
}

/// What is recorded: see [`TapeRef`].
///
/// ```
/// use wengert::prelude::*;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
/// (x * 3.0).sum().gradient(x);
/// let text = tape.to_string();
/// assert!(text.starts_with("forward\n  %0 = leaf"));
/// assert!(text.contains("mul") && text.contains("%0 %1") && text.contains("f64[2]"));
/// assert!(text.contains("\ngradient\n"));
/// ```
impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// The last part of a path, which is enough in a drawing.
fn short_line(node: &Node) -> String {
    let line = line_of(node);
    match line.rsplit_once(['/', '\\']) {
        Some((_, last)) => last.to_string(),
        None => line,
    }
}

/// Each node of a part, with its number.
fn of_part(graph: &Graph, part: Part) -> impl Iterator<Item = (usize, &Node)> {
    let numbered = graph.nodes.iter().enumerate();
    numbered.filter(move |(_, node)| Part::of(node) == part)
}

/// The text between double quotes of either language: operations have names of their makers' choice.
fn quoted(text: &str) -> String {
    text.replace('\\', "/").replace('"', "'")
}

/// The same where text is read as HTML, with `#` for `&`: the name of a type has angle brackets.
fn escaped(text: &str) -> String {
    quoted(text)
        .replace('#', "#35;")
        .replace('&', "#amp;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}

impl TapeRef {
    /// What is recorded, as a drawing in the language of Graphviz: `dot -Tsvg`. Operations and the
    /// gradient's operations are in a box each, inputs are boxes, and edges go from what is read to what
    /// reads it.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// x.exp();
    /// let dot = tape.to_dot();
    /// assert!(dot.starts_with("digraph tape {"));
    /// assert!(dot.contains("n0 -> n1;"));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn to_dot(self) -> String {
        let graph = self.graph("to_dot");
        let mut text = String::from("digraph tape {\n  node [fontname=\"monospace\"];\n");
        for part in Part::ALL {
            let mut nodes = of_part(&graph, part).peekable();
            if nodes.peek().is_none() {
                continue;
            }
            let name = part.name();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  subgraph cluster_{name} {{\n    label=\"{name}\";");
            for (k, node) in nodes {
                let shape = match node.op {
                    Op::Leaf | Op::Fill(_) => "box",
                    _ => "ellipse",
                };
                let label = [described(node), type_of(node), short_line(node)].map(|s| quoted(&s));
                let label = label.join("\\n");
                let _ = writeln!(text, "    n{k} [shape={shape}, label=\"{label}\"];");
            }
            text.push_str("  }\n");
        }
        for (k, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                let _ = writeln!(text, "  n{input} -> n{k};");
            }
        }
        text.push_str("}\n");
        text
    }

    /// What is recorded, as a flowchart in the language of Mermaid, which many viewers of Markdown draw.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let tape = Tape::new();
    /// let x = tape.leaf(&Tensor::from([1.0, 2.0]));
    /// x.exp();
    /// let chart = tape.to_mermaid();
    /// assert!(chart.starts_with("flowchart TD\n  subgraph forward\n    n0["));
    /// assert!(chart.contains("n0 --> n1\n"));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn to_mermaid(self) -> String {
        let graph = self.graph("to_mermaid");
        let mut text = String::from("flowchart TD\n");
        for part in Part::ALL {
            let mut nodes = of_part(&graph, part).peekable();
            if nodes.peek().is_none() {
                continue;
            }
            let _ = writeln!(text, "  subgraph {}", part.name());
            for (k, node) in nodes {
                let label = [described(node), type_of(node), short_line(node)].map(|s| escaped(&s));
                let label = label.join("<br/>");
                let _ = match node.op {
                    Op::Leaf | Op::Fill(_) => writeln!(text, "    n{k}[\"{label}\"]"),
                    _ => writeln!(text, "    n{k}([\"{label}\"])"),
                };
            }
            text.push_str("  end\n");
        }
        for (k, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                let _ = writeln!(text, "  n{input} --> n{k}");
            }
        }
        text
    }
}
