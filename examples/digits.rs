//! Reads handwritten digits: a network of two hidden layers, trained with Adam in mini-batches on 1,347 images of 8 x 8 pixels and
//! tested on 450 others.
//!
//! Run with `cargo run --release --example digits`.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;
use wengert::data::{Batches, Table};
use wengert::prelude::*;

const CLASSES: usize = 10;
const EPOCHS: usize = 40;
const BATCH: usize = 32;
/// How much of each label is spread over all classes.
const SMOOTHING: f32 = 0.1;
const SEED: u64 = 1;

/// Images `[rows, 64]` with values from 0 to 1, and their labels.
struct Digits {
    images: Tensor,
    labels: Tensor<i64>,
}

impl Digits {
    fn of(table: &Table) -> Result<Digits, wengert::Error> {
        let pixels: Tensor = table.columns_except(&["split", "target"])?;
        Ok(Digits {
            images: pixels.map(|p| p / 16.0),
            labels: table.labels("target", CLASSES)?,
        })
    }

    fn len(&self) -> usize {
        self.labels.len()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let table =
        Table::from_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits.csv"))?;
    let train = Digits::of(&table.filter("split", |split| split == 0.0)?)?;
    let test = Digits::of(&table.filter("split", |split| split == 1.0)?)?;
    println!("{} digits to train, {} to test", train.len(), test.len());

    let mut rng = wengert::rng(SEED);
    let mut model = wengert::sequential![
        Linear::new(64, 256, &mut rng),
        activation::Relu,
        Linear::new(256, 128, &mut rng),
        activation::Relu,
        Linear::new(128, CLASSES, &mut rng),
    ];
    println!("{} parameters", model.parameter_count());

    let mut adam = Adam::new(2e-3);
    for epoch in 1..=EPOCHS {
        // A smaller rate at the end settles into the minimum that the larger one found.
        if epoch == EPOCHS * 3 / 4 {
            adam.set_learning_rate(5e-4);
        }
        let (mut loss, mut right) = (0.0, 0);
        for rows in Batches::new(train.len(), BATCH).shuffled(&mut rng) {
            let (images, labels) = (
                train.images.select_rows(&rows),
                train.labels.select_rows(&rows),
            );
            let (step, logits) = value_and_grad_with(&model, |model, tape| {
                let logits = model.forward(tape.constant(&images));
                (
                    loss::cross_entropy(logits, smoothed(tape.constant(&labels))),
                    logits,
                )
            });
            loss += step.value() * rows.len() as f32;
            right += hits(&logits, &labels);
            adam.step(&mut model, &step);
        }
        let line = format!(
            "epoch {epoch:>3}   loss {:.5}   accuracy {:.2} %",
            loss / train.len() as f32,
            100.0 * right as f32 / train.len() as f32
        );
        show(&line, epoch)?;
    }

    let tape = Tape::inference();
    let logits = model.forward(tape.constant(&test.images)).value();
    let read = logits.argmax(1);
    let accuracy = 100.0 * hits(&logits, &test.labels) as f64 / test.len() as f64;
    println!(
        "\ntest accuracy {accuracy:.2} % after {:.2} s",
        start.elapsed().as_secs_f64()
    );
    print_confusion(&read, &test.labels);
    print_misread(&read, &test, 3);
    assert!(
        accuracy >= 98.0,
        "the network should read 98 % of the digits"
    );
    Ok(())
}

/// Probabilities for the labels that leave a little to every class (Szegedy et al. 2016): a few digits that hardly anyone could read
/// then pull less at the weights than they would if each label were certain.
fn smoothed(labels: Var<i64>) -> Var {
    labels.one_hot::<f32>(CLASSES) * (1.0 - SMOOTHING) + SMOOTHING / CLASSES as f32
}

/// How many rows have their largest logit at the label.
fn hits(logits: &Tensor, labels: &Tensor<i64>) -> usize {
    logits
        .argmax(1)
        .iter()
        .zip(labels.iter())
        .filter(|(read, label)| read == label)
        .count()
}

/// One line that is written anew on a terminal; now and then a line of its own elsewhere.
fn show(line: &str, epoch: usize) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        write!(out, "\r{line}")?;
        out.flush()
    } else if epoch == 1 || epoch.is_multiple_of(5) {
        writeln!(out, "{line}")
    } else {
        Ok(())
    }
}

fn print_confusion(read: &Tensor<i64>, labels: &Tensor<i64>) {
    let mut counts = [[0; CLASSES]; CLASSES];
    for (read, label) in read.iter().zip(labels.iter()) {
        counts[label as usize][read as usize] += 1;
    }
    println!("\nlabel \\ read as");
    println!(
        "    {}",
        (0..CLASSES).map(|c| format!("{c:>4}")).collect::<String>()
    );
    for (label, row) in counts.iter().enumerate() {
        let cells: String = row
            .iter()
            .map(|&n| {
                if n == 0 {
                    "   .".into()
                } else {
                    format!("{n:>4}")
                }
            })
            .collect();
        println!("{label:>4}{cells}");
    }
}

/// Draws the first few digits that were misread.
fn print_misread(read: &Tensor<i64>, test: &Digits, count: usize) {
    const SHADES: [char; 5] = [' ', '.', 'o', 'O', '@'];
    let misread = (0..test.len()).filter(|&i| read[[i]] != test.labels[[i]]);
    for i in misread.take(count) {
        println!("\na {} read as {}:", test.labels[[i]], read[[i]]);
        for row in test.images.row(i).reshape([8, 8]).rows() {
            let line: String = row
                .iter()
                .map(|p| SHADES[(p * 4.0).round() as usize])
                .flat_map(|c| [c, c])
                .collect();
            println!("  |{line}|");
        }
    }
}
