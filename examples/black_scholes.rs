//! Options by the formula of Black and Scholes: sensitivities, and volatilities calibrated to a
//! market by Newton's method.
//!
//! The formula is written once, over [`Real`], and is never differentiated by hand.
//!
//! Run with `cargo run --release --example black_scholes`.

use wengert::scalar::{Dual, Real, derivative, hessian};

const SPOT: f64 = 100.0;
const RATE: f64 = 0.03;

/// The distribution function of the normal distribution.
fn normal<S: Real>(x: S) -> S {
    (-x * S::FRAC_1_SQRT_2()).erfc() / (S::one() + S::one())
}

/// The price of a European call: spot, strike, rate, volatility, years to run.
fn call<S: Real>(spot: S, strike: S, rate: S, volatility: S, years: S) -> S {
    let deviation = volatility * years.sqrt();
    let discounted = strike * (-rate * years).exp();
    let d = (spot / discounted).ln() / deviation;
    let half = deviation / (S::one() + S::one());
    spot * normal(d + half) - discounted * normal(d - half)
}

/// The volatility at which the formula gives a price: Newton's method, the derivative ("vega") by a
/// dual number.
///
/// Started at the inflection point of the price as a function of volatility, from which it
/// converges from any quote that has a solution (Manaster and Koehler, 1982).
fn implied_volatility(price: f64, strike: f64, years: f64) -> (f64, usize) {
    let forward = SPOT * (RATE * years).exp();
    let mut volatility = (2.0 * (forward / strike).ln().abs() / years)
        .sqrt()
        .max(1e-2);
    for iteration in 1..=50 {
        let (value, vega) = derivative(
            |v| {
                let [spot, strike, rate, years] = [SPOT, strike, RATE, years].map(Dual::constant);
                call(spot, strike, rate, v, years)
            },
            volatility,
        );
        let step = (value - price) / vega;
        volatility -= step;
        if step.abs() < 1e-9 {
            return (volatility, iteration);
        }
    }
    panic!("no volatility gives a price of {price} at the strike {strike}");
}

/// The market of this example: a smile that is flatter the longer the option runs.
fn smile(strike: f64, years: f64) -> f64 {
    let moneyness = (strike / SPOT).ln();
    0.2 - 0.1 * moneyness / years.sqrt() + 0.3 * moneyness * moneyness / years
}

fn main() {
    // Sensitivities of one option: value, gradient and all second derivatives.
    let at = [SPOT, 105.0, RATE, 0.22, 0.75];
    let [spot, strike, rate, volatility, years] = at;
    let (price, first, second) = hessian(|x| call(x[0], x[1], x[2], x[3], x[4]), &at);
    let n = at.len();
    let [delta, rho, vega, theta] = [first[0], first[2], first[3], -first[4]];
    let (gamma, vanna, volga) = (second[0], second[3], second[3 * n + 3]);
    println!("a call at {strike}, {years} years: {price:.4}");
    println!("  delta {delta:.6}, vega {vega:.4}, theta {theta:.4}, rho {rho:.4}");
    println!("  gamma {gamma:.6}, vanna {vanna:.6}, volga {volga:.4}");

    // The textbook's formulas for the same.
    let root = years.sqrt();
    let d1 = ((spot / strike).ln() + (rate + 0.5 * volatility * volatility) * years)
        / (volatility * root);
    let d2 = d1 - volatility * root;
    let density = (-0.5 * d1 * d1).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let discounted = strike * (-rate * years).exp();
    for (name, found, expected) in [
        ("delta", delta, normal(d1)),
        ("vega", vega, spot * density * root),
        ("rho", rho, discounted * years * normal(d2)),
        (
            "theta",
            theta,
            -spot * density * volatility / (2.0 * root) - rate * discounted * normal(d2),
        ),
        ("gamma", gamma, density / (spot * volatility * root)),
        ("vanna", vanna, -density * d2 / volatility),
        ("volga", volga, spot * density * root * d1 * d2 / volatility),
    ] {
        let error = (found - expected).abs();
        assert!(
            error < 1e-12 * (1.0 + expected.abs()),
            "{name}: {found} is not {expected}"
        );
    }
    // And the equation that the formula solves: theta + volatility^2 spot^2 gamma / 2 + rate spot
    // delta = rate price.
    let left = theta + 0.5 * (volatility * spot).powi(2) * gamma + rate * spot * delta;
    assert!((left - rate * price).abs() < 1e-12);

    // A surface of quotes, calibrated one by one.
    println!("\nimplied volatilities (Newton's iterations)");
    let strikes = [70.0, 85.0, 100.0, 115.0, 130.0];
    println!("  years {}", strikes.map(|k| format!("{k:>12}")).concat());
    for years in [0.25, 0.5, 1.0, 2.0] {
        let row = strikes.map(|strike| {
            let quote = call(SPOT, strike, RATE, smile(strike, years), years);
            let (found, iterations) = implied_volatility(quote, strike, years);
            // A price in the tail says little of its volatility: what is asked for is the quote.
            let again = call(SPOT, strike, RATE, found, years);
            assert!((again - quote).abs() < 1e-11, "{again} is not {quote}");
            assert!((found - smile(strike, years)).abs() < 1e-9);
            assert!(iterations <= 10, "{iterations} iterations");
            format!("{found:>8.4} ({iterations})")
        });
        println!(
            "  {years:<5} {}",
            row.map(|cell| format!("{cell:>12}")).concat()
        );
    }

    // The calibrated volatility is itself differentiable. By the theorem of the implicit function
    // its derivative by the quote is 1 / vega; one step of Newton's method from the solution, over
    // dual numbers, has that derivative.
    let (strike, years) = (115.0, 1.0);
    let quote = call(SPOT, strike, RATE, smile(strike, years), years);
    let (solution, _) = implied_volatility(quote, strike, years);
    let price_and_vega = |v| {
        let [spot, strike, rate, years] = [SPOT, strike, RATE, years].map(Dual::constant);
        call(spot, strike, rate, v, years)
    };
    let (value, vega) = derivative(price_and_vega, solution);
    let quoted = Dual::variable(quote);
    let calibrated = Dual::constant(solution) - (Dual::constant(value) - quoted) / vega;
    let bump = 1e-3;
    let difference = (implied_volatility(quote + bump, strike, years).0
        - implied_volatility(quote - bump, strike, years).0)
        / (2.0 * bump);
    println!(
        "\nd volatility / d quote = {:.8}, by differences {difference:.8}",
        calibrated.tangent()
    );
    assert!((calibrated.tangent() - difference).abs() < 1e-7);
}
