//! Two arithmetic functions in one: a sum, a difference or a product that nothing but another reads.
//!
//! A cheap function costs what its loads and stores cost, above all the store; in a pair the first result stays in a register. Both
//! are rounded as they are alone: no bit changes.

use super::{Arg, Make, Recipe};
use crate::element::{Dtype, Element, Float, Instructions};
use crate::kernel::elementwise::{Arithmetic, Kernel, Map3};
use smallvec::smallvec;
use std::marker::PhantomData;

/// A function of the first result and the third operand.
trait Of: 'static {
    fn of<T: Float>(a: T, b: T) -> T;
}

macro_rules! of {
    ($($name:ident: |$a:ident, $b:ident| $value:expr;)*) => {$(
        struct $name;
        impl Of for $name {
            #[inline(always)]
            fn of<T: Float>($a: T, $b: T) -> T {
                $value
            }
        }
    )*};
}
of! {
    Sum: |a, b| a + b;
    Difference: |a, b| a - b;
    DifferenceFrom: |a, b| b - a;
    Product: |a, b| a * b;
}

/// `G(F(a, b), c)`
struct Then<F, G>(PhantomData<(F, G)>);
impl<T: Float + Element, F: Of, G: Of> Map3<T, T, T> for Then<F, G> {
    type Output = T;
    const WIDE: bool = true;
    #[inline(always)]
    fn eval<L: Instructions>(a: T, b: T, c: T) -> T {
        G::of(F::of(a, b), c)
    }
}

/// The kernel that computes `second` of the result of `first` and another operand, which is the first one or not.
fn pair(first: &Kernel, second: &Kernel, result_is_first: bool) -> Option<Kernel> {
    fn of<T: Float, F: Of>(second: Arithmetic, result_is_first: bool) -> Kernel {
        match (second, result_is_first) {
            (Arithmetic::Add, _) => Kernel::of_pair::<T, Then<F, Sum>>(),
            (Arithmetic::Sub, true) => Kernel::of_pair::<T, Then<F, Difference>>(),
            (Arithmetic::Sub, false) => Kernel::of_pair::<T, Then<F, DifferenceFrom>>(),
            (Arithmetic::Mul, _) => Kernel::of_pair::<T, Then<F, Product>>(),
        }
    }
    fn then<T: Float>(first: Arithmetic, second: Arithmetic, result_is_first: bool) -> Kernel {
        match first {
            Arithmetic::Add => of::<T, Sum>(second, result_is_first),
            Arithmetic::Sub => of::<T, Difference>(second, result_is_first),
            Arithmetic::Mul => of::<T, Product>(second, result_is_first),
        }
    }
    let (f, g) = (first.arithmetic()?, second.arithmetic()?);
    match second.output() {
        Dtype::F32 => Some(then::<f32>(f, g, result_is_first)),
        Dtype::F64 => Some(then::<f64>(f, g, result_is_first)),
        _ => None,
    }
}

impl Recipe {
    /// The recipe with pairs wherever an arithmetic function of the same stage is the only reader of another.
    pub fn in_pairs(mut self) -> Self {
        let stages = self.stages();
        let mut readers = vec![0; self.code.len()];
        for &output in &self.outputs {
            // Written out, whoever reads it.
            readers[output] = 2;
        }
        for arg in self.code.iter().flat_map(Make::args) {
            if let Arg::Value(value) = *arg {
                readers[value] += 1;
            }
        }
        let mut gone = vec![false; self.code.len()];
        for index in 0..self.code.len() {
            let Make::Map {
                kernel,
                args,
                class,
            } = &self.code[index]
            else {
                continue;
            };
            let paired = args.iter().enumerate().find_map(|(k, arg)| {
                let &Arg::Value(value) = arg else { return None };
                let first = &self.code[value];
                let alone = readers[value] == 1 && stages[value] == stages[index];
                let Make::Map {
                    kernel: of,
                    args: operands,
                    class: its,
                } = first
                else {
                    return None;
                };
                let kernel = (alone && its == class).then(|| pair(of, kernel, k == 0))??;
                let args = smallvec![operands[0], operands[1], args[1 - k]];
                Some((
                    value,
                    Make::Map {
                        kernel,
                        args,
                        class: *class,
                    },
                ))
            });
            if let Some((value, make)) = paired {
                self.code[index] = make;
                gone[value] = true;
            }
        }
        self.without(&gone)
    }

    /// The recipe without instructions that nothing reads.
    fn without(mut self, gone: &[bool]) -> Self {
        let mut kept = 0;
        let numbers: Vec<usize> = gone
            .iter()
            .map(|gone| {
                kept += usize::from(!gone);
                kept.wrapping_sub(1)
            })
            .collect();
        let mut index = 0;
        self.code.retain(|_| {
            index += 1;
            !gone[index - 1]
        });
        self.rename(|value| numbers[value]);
        self
    }
}
