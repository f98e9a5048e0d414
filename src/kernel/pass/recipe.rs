//! What a pass computes, as its caller says it.

use crate::element::Dtype;
use crate::kernel::elementwise::Kernel;
use crate::kernel::reduce::Reduction;
use crate::shape::Layout;
use smallvec::SmallVec;
use std::collections::HashMap;

/// How an input is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// Element `i` for element `i` of the space.
    Flat,
    /// One element for each row.
    Row,
    /// One element for each place in a row.
    Column,
    /// One element for all.
    Single,
    /// Elements at the places that a layout of as many elements as the space says.
    Strided(Box<Layout>),
}

/// An input of a pass.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub dtype: Dtype,
    pub access: Access,
    /// The place of the first element, but for [`Access::Strided`].
    pub offset: usize,
}

impl Source {
    /// The bytes that are read of it, in a space of so many rows of a width.
    pub fn bytes(&self, rows: usize, width: usize) -> usize {
        let elements = match &self.access {
            Access::Flat => rows * width,
            Access::Row => rows,
            Access::Column => width,
            Access::Single => 1,
            Access::Strided(layout) => layout.distinct(),
        };
        elements * self.dtype.size()
    }
}

/// What an instruction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Arg {
    Input(usize),
    /// The value of an earlier instruction.
    Value(usize),
}

/// Which elements a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Full,
    Row,
    Column,
    /// One element for the whole space of several rows.
    Single,
}

/// An instruction: makes one value.
#[derive(Clone, Debug)]
pub(crate) enum Make {
    /// A function of the elements at the same place: of full values, or of row values.
    Map {
        kernel: Kernel,
        args: SmallVec<[Arg; 3]>,
        class: Class,
    },
    /// A full value combined within each row (a row value), across rows (a column value), or altogether (a single one, where
    /// [`sums_together`] holds). No instruction reads one of the latter two.
    Reduce {
        kind: Reduction,
        dtype: Dtype,
        arg: Arg,
        class: Class,
    },
}

impl Make {
    pub fn class(&self) -> Class {
        match self {
            Make::Map { class, .. } | Make::Reduce { class, .. } => *class,
        }
    }

    pub fn dtype(&self) -> Dtype {
        match self {
            Make::Map { kernel, .. } => kernel.output(),
            Make::Reduce { dtype, .. } => *dtype,
        }
    }

    pub fn args(&self) -> &[Arg] {
        match self {
            Make::Map { args, .. } => args,
            Make::Reduce { arg, .. } => std::slice::from_ref(arg),
        }
    }

    /// Gives the values that it reads new numbers.
    fn rename(&mut self, number: impl Fn(usize) -> usize) {
        let args = match self {
            Make::Map { args, .. } => args.as_mut_slice(),
            Make::Reduce { arg, .. } => std::slice::from_mut(arg),
        };
        for arg in args {
            if let Arg::Value(value) = arg {
                *value = number(*value);
            }
        }
    }
}

/// What a pass computes.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub rows: usize,
    pub width: usize,
    pub inputs: Vec<Source>,
    pub code: Vec<Make>,
    /// The instructions whose values are written out.
    pub outputs: Vec<usize>,
}

impl Recipe {
    pub fn class(&self, arg: Arg) -> Class {
        match arg {
            Arg::Value(value) => self.code[value].class(),
            Arg::Input(input) => match self.inputs[input].access {
                Access::Row => Class::Row,
                _ => Class::Full,
            },
        }
    }

    pub fn dtype(&self, arg: Arg) -> Dtype {
        match arg {
            Arg::Value(value) => self.code[value].dtype(),
            Arg::Input(input) => self.inputs[input].dtype,
        }
    }

    pub fn is_single(&self, arg: Arg) -> bool {
        matches!(arg, Arg::Input(input) if self.inputs[input].access == Access::Single)
    }

    /// The recipe without functions of operands that an earlier one has, too: derivatives of `x * x` have each factor twice. What is
    /// written out is made all the same.
    pub fn without_repetitions(mut self) -> Self {
        let mut known = HashMap::new();
        let mut renamed: Vec<usize> = Vec::with_capacity(self.code.len());
        let mut code = Vec::with_capacity(self.code.len());
        for (index, mut make) in std::mem::take(&mut self.code).into_iter().enumerate() {
            make.rename(|value| renamed[value]);
            if let Make::Map {
                kernel,
                args,
                class,
            } = &make
            {
                let key = (kernel.identity(), args.clone(), *class);
                let first = *known.entry(key).or_insert(code.len());
                if first < code.len() && !self.outputs.contains(&index) {
                    renamed.push(first);
                    continue;
                }
            }
            renamed.push(code.len());
            code.push(make);
        }
        self.outputs
            .iter_mut()
            .for_each(|output| *output = renamed[*output]);
        self.code = code;
        self
    }

    /// Gives all values new numbers.
    pub(super) fn rename(&mut self, number: impl Fn(usize) -> usize) {
        self.code.iter_mut().for_each(|make| make.rename(&number));
        self.outputs
            .iter_mut()
            .for_each(|output| *output = number(*output));
    }

    /// The stage in which each value is made; that of a combined row is there from the next one on.
    pub fn stages(&self) -> Vec<usize> {
        let mut stages: Vec<usize> = Vec::with_capacity(self.code.len());
        for make in &self.code {
            let ready = |&arg: &Arg| match arg {
                Arg::Input(_) => 0,
                Arg::Value(value) => {
                    let combined = matches!(
                        &self.code[value],
                        Make::Reduce {
                            class: Class::Row,
                            ..
                        }
                    );
                    stages[value] + usize::from(combined)
                }
            };
            stages.push(make.args().iter().map(ready).max().unwrap_or(0));
        }
        stages
    }
}
