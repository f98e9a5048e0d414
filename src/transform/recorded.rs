//! Parts of a tape that are recorded again, or compiled, with other inputs.

use crate::element::with_dtype;
use crate::program::{Compiled, Form};
use crate::tape::{AnyVar, Span, Tape, TapeRef};

/// One variable computed from others, as it lies on the tape: to be recorded again with other inputs, or compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recorded {
    pub span: Span,
    /// The nodes that stand for the inputs.
    pub standing: Vec<u32>,
    pub output: u32,
}

impl Recorded {
    /// Each node that stands for an input, with another variable.
    fn with(&self, tape: TapeRef, inputs: &[AnyVar]) -> Vec<(AnyVar, AnyVar)> {
        let standing = self.standing.iter().map(|&index| tape.var(index));
        standing.zip(inputs.iter().copied()).collect()
    }

    /// The output once more, of other inputs.
    #[track_caller]
    pub fn again(&self, tape: TapeRef, inputs: &[AnyVar]) -> AnyVar {
        self.parts_again(tape, inputs, &[self.output])[0]
    }

    /// Nodes on the way to the output once more, of other inputs.
    #[track_caller]
    pub fn parts_again(&self, tape: TapeRef, inputs: &[AnyVar], parts: &[u32]) -> Vec<AnyVar> {
        let given = self.with(tape, inputs);
        let parts: Vec<AnyVar> = parts.iter().map(|&index| tape.var(index)).collect();
        self.span.replay(tape, tape, &given, &parts)
    }

    /// A program apart from the tape. Nothing is differentiated there: operations that know nodes of this tape only compute.
    #[track_caller]
    pub fn compiled(&self, tape: TapeRef) -> Compiled {
        let aside = Tape::new();
        let leaf = |&index: &u32| {
            let standing = tape.var(index);
            let (dtype, shape) = (standing.dtype(), standing.shape());
            with_dtype!(dtype, T => aside.awaited::<T>(&shape).erase())
        };
        let leaves: Vec<AnyVar> = self.standing.iter().map(leaf).collect();
        let (given, output) = (self.with(tape, &leaves), tape.var(self.output));
        let copy = self.span.replay(tape, *aside, &given, &[output])[0];
        let inputs: Vec<u32> = leaves.iter().map(|v| v.index).collect();
        let mut graph = aside.graph_mut("scan");
        Compiled::new(&mut graph, &[copy.index], &inputs, Form::Fused)
    }

    /// The nodes that lead from the inputs to the output.
    pub fn nodes(&self, tape: TapeRef) -> Vec<u32> {
        let standing: Vec<AnyVar> = self.standing.iter().map(|&i| tape.var(i)).collect();
        self.span.nodes(tape, &standing, &[tape.var(self.output)])
    }
}
