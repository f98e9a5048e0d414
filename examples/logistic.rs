//! Logistic regression by hand: one weight, one bias, one step of gradient descent, each number checked against its formula.
//!
//! Run with `cargo run --release --example logistic`.

use wengert::prelude::*;

const RATE: f64 = 0.01;

fn main() {
    let x = Tensor::from([0.0, 1.0, 2.0, 3.0]);
    let y = Tensor::from([0.0, 1.0, 0.0, 1.0]);
    let (w, b) = (-2.0, 1.0);

    // The program: z = w x + b, a = sigmoid(z), loss = mean of -(y ln a + (1 - y) ln(1 - a)).
    let tape = Tape::new();
    let weight = tape.leaf(&Tensor::from(w));
    let bias = tape.leaf(&Tensor::from(b));
    let z = weight * tape.constant(&x) + bias;
    let a = z.sigmoid();
    let loss = loss::binary_cross_entropy(a, tape.constant(&y));
    let [dw, db] = loss.gradients([weight, bias]);
    let ([z, a], loss, [dw, db]) = tape.run(([z, a], loss, [dw, db]));
    let (loss, dw, db) = (loss.item(), dw.item(), db.item());

    println!("w = {w}, b = {b}, learning rate = {RATE}");
    println!("x    = {x}\ny    = {y}");
    println!("z    = {z}\na    = {a:.6}");
    println!("loss = {loss:.6}");
    println!("dw   = {dw:.6}\ndb   = {db:.6}");
    println!("w'   = {:.6}\nb'   = {:.6}", w - RATE * dw, b - RATE * db);

    // The same by hand: dz = (a - y) / n, dw = sum of dz x, db = sum of dz.
    let data: Vec<(f64, f64)> = x.iter().zip(y.iter()).collect();
    let n = data.len() as f64;
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let by_hand = |f: &dyn Fn(f64, f64, f64) -> f64| -> f64 {
        data.iter()
            .map(|&(x, y)| f(x, y, sigmoid(w * x + b)))
            .sum::<f64>()
            / n
    };
    let expected_loss = by_hand(&|_, y, a| -(y * a.ln() + (1.0 - y) * (1.0 - a).ln()));
    let expected_dw = by_hand(&|x, y, a| (a - y) * x);
    let expected_db = by_hand(&|_, y, a| a - y);
    for (i, &(x, _)) in data.iter().enumerate() {
        assert_eq!(z[[i]], w * x + b);
        assert!((a[[i]] - sigmoid(w * x + b)).abs() < 1e-15);
    }
    for (name, value, expected) in [
        ("loss", loss, expected_loss),
        ("dw", dw, expected_dw),
        ("db", db, expected_db),
    ] {
        assert!(
            (value - expected).abs() < 1e-14,
            "{name}: {value} is not {expected}"
        );
    }
    println!("each equals the formula worked by hand");
}
