//! The parameters of a model as arguments of a function, so that every transform is one of models too.

use super::vars::Vars;
use crate::element::{Element, with_any, with_dtype};
use crate::param::{Module, Param, ParamRef, Path, Segment, Visitor, join};
use crate::program::Fetch;
use crate::tape::{AnyVar, TapeRef, Var};
use crate::tensor::{AnyTensor, Tensor, Tensors};
use std::panic::Location;
use std::rc::Rc;

/// A parameter by identity and name.
#[derive(Debug)]
struct Named {
    id: u64,
    name: String,
}

/// Something for each trainable parameter of a model: a variable to use in its place, a gradient, a direction.
///
/// [`bound`](Parameters::bound) lets a model use these variables instead of its parameters. So a loss is a function of them, and
/// every transform applies: `gradient`, `hvp`, `jvp`, `vmap` over examples, `vmap` over an ensemble of models.
///
/// ```
/// use wengert::prelude::*;
/// use wengert::transform::{Parameters, hvp};
/// let model = Linear::new(2, 1, &mut wengert::rng(0));
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
/// let parameters = Parameters::on(&model, *tape);
/// let ones = parameters.map_each(|_, w| tape.full(w.shape(), 1.0).erase());
/// let loss = |p: Parameters| p.bound(|| model.forward(x).square().sum());
/// let curvature = hvp(loss, parameters, ones);
/// // The sum of the outputs changes by 1 + 2 + 1 and 3 + 4 + 1.
/// let of_bias = curvature.get(model.bias.as_ref().unwrap()).unwrap();
/// assert_eq!(of_bias.value(), Tensor::from([2.0 * (4.0 + 8.0)]));
/// ```
#[derive(Clone, Debug)]
pub struct Parameters {
    named: Rc<[Named]>,
    variables: Vec<AnyVar>,
}

/// Records the trainable parameters of a model.
struct Record {
    tape: TapeRef,
    path: Path,
    named: Vec<Named>,
    variables: Vec<AnyVar>,
}

impl<'a> Visitor<'a> for Record {
    fn enter(&mut self, segment: Segment) {
        self.path.push(segment);
    }
    fn leave(&mut self) {
        self.path.pop();
    }
    fn param(&mut self, param: ParamRef<'a>) {
        with_any!(param, p => {
            if p.is_trainable() && self.named.iter().all(|named| named.id != p.id()) {
                let name = join(&self.path);
                self.named.push(Named { id: p.id(), name });
                self.variables.push(p.on(self.tape).erase());
            }
        });
    }
}

/// Lets parameters be what they were before.
struct Rebound {
    tape: TapeRef,
    before: Vec<(u64, u32)>,
}

impl Drop for Rebound {
    fn drop(&mut self) {
        if let Some(arena) = self.tape.live() {
            let mut graph = arena.graph.borrow_mut();
            for &(id, index) in &self.before {
                if let Some(binding) = graph.bindings.iter_mut().find(|b| b.0 == id) {
                    binding.1 = index;
                }
            }
        }
    }
}

impl Parameters {
    /// The trainable parameters of a model on a tape, in the order of a visit.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::Parameters;
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let parameters = Parameters::on(&model, *tape);
    /// let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["weight", "bias"]);
    /// assert_eq!(parameters.get(&model.weight).unwrap().shape(), Shape::from([1, 2]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped.
    #[track_caller]
    pub fn on<M: Module + ?Sized>(model: &M, tape: TapeRef) -> Self {
        let mut record = Record {
            tape,
            path: Path::new(),
            named: Vec::new(),
            variables: Vec::new(),
        };
        let _line = tape.attribute_to(Location::caller());
        model.visit(&mut record);
        Parameters {
            named: record.named.into(),
            variables: record.variables,
        }
    }

    /// Calls a function in which the parameters of the model are these variables.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// use wengert::transform::Parameters;
    /// let model = Linear::<f32>::new(2, 1, &mut wengert::rng(0));
    /// let tape = Tape::new();
    /// let zeros = Parameters::on(&model, *tape).map_each(|_, w| tape.full(w.shape(), 0.0f32).erase());
    /// let x = tape.constant(&Tensor::from([1.0, 2.0]));
    /// assert_eq!(zeros.bound(|| model.forward(x)).value(), Tensor::from([0.0]));
    /// assert_ne!(model.forward(x).value(), Tensor::from([0.0]));
    /// ```
    ///
    /// # Panics
    /// If the tape was reset or dropped; wherever the function does.
    #[track_caller]
    pub fn bound<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(first) = self.variables.first() else {
            return f();
        };
        let tape = first.tape();
        let mut before = Vec::with_capacity(self.variables.len());
        {
            let mut graph = tape.graph_mut("bound");
            for (named, variable) in self.named.iter().zip(&self.variables) {
                let binding = graph.bindings.iter_mut().find(|b| b.0 == named.id);
                if let Some(binding) = binding {
                    before.push(*binding);
                    binding.1 = variable.index;
                }
            }
        }
        let _rebound = Rebound { tape, before };
        f()
    }

    /// The variable for a parameter; `None` if it is not trainable or not of the model.
    pub fn get<T: Element>(&self, param: &Param<T>) -> Option<Var<T>> {
        let k = self.named.iter().position(|named| named.id == param.id())?;
        Some(self.variables[k].assume())
    }

    /// Names and variables, in the order of a visit.
    pub fn iter(&self) -> impl Iterator<Item = (&str, AnyVar)> {
        let names = self.named().map(|(_, name)| name);
        names.zip(self.variables.iter().copied())
    }

    /// Identities and names, in the order of a visit.
    pub(super) fn named(&self) -> impl Iterator<Item = (u64, &str)> {
        self.named.iter().map(|named| (named.id, &*named.name))
    }

    /// Variables for the same parameters in the same order; panics if others are of another model.
    #[track_caller]
    pub(super) fn matching<'a>(
        &self,
        operation: &'a str,
        others: &'a Parameters,
    ) -> impl Iterator<Item = AnyVar> + use<'a> {
        assert!(
            self.named()
                .map(|(id, _)| id)
                .eq(others.named().map(|(id, _)| id)),
            "{operation}: the direction is not of the same parameters"
        );
        others.variables.iter().copied()
    }

    /// Other variables for the same parameters.
    ///
    /// # Panics
    /// If one is of another element type.
    #[track_caller]
    pub fn map_each(&self, mut f: impl FnMut(&str, AnyVar) -> AnyVar) -> Self {
        let mut variables = Vec::with_capacity(self.variables.len());
        for (name, v) in self.iter() {
            let other = f(name, v);
            let (given, wanted) = (other.dtype(), v.dtype());
            assert!(
                given == wanted,
                "map_each: the variable for {name} holds {given}, not {wanted}"
            );
            variables.push(other);
        }
        Parameters {
            named: self.named.clone(),
            variables,
        }
    }
}

impl Vars for Parameters {
    type Each<Y> = Vec<Y>;
    fn each<Y>(&self, f: &mut dyn FnMut(AnyVar) -> Y) -> Vec<Y> {
        self.variables.iter().map(|&v| f(v)).collect()
    }
    fn map(&self, f: &mut dyn FnMut(AnyVar) -> AnyVar) -> Self {
        Parameters {
            named: self.named.clone(),
            variables: self.variables.iter().map(|&v| f(v)).collect(),
        }
    }
}

/// The values of [`Parameters`]: a tensor for each trainable parameter of a model.
#[derive(Clone, Debug)]
pub struct ParameterValues {
    entries: Vec<(u64, String, AnyTensor)>,
}

impl ParameterValues {
    /// Of parameters with these identities and names.
    pub(super) fn of(entries: Vec<(u64, String, AnyTensor)>) -> Self {
        ParameterValues { entries }
    }

    /// The tensor for a parameter; `None` if it is not trainable or not of the model.
    pub fn get<T: Element>(&self, param: &Param<T>) -> Option<&Tensor<T>> {
        let (_, _, value) = self.entries.iter().find(|(id, ..)| *id == param.id())?;
        T::peek::<Tensors>(value)
    }

    /// Names and tensors, in the order of a visit.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AnyTensor)> {
        self.entries.iter().map(|(_, name, value)| (&**name, value))
    }
}

impl Fetch for Parameters {
    type Values = ParameterValues;
    fn indices(&self, visit: &mut dyn FnMut(TapeRef, u32)) {
        self.variables.iter().for_each(|v| visit(v.tape, v.index));
    }
    fn values(&self) -> ParameterValues {
        let values = self.named().zip(&self.variables);
        let entries = values.map(|((id, name), &v)| (id, name.to_owned(), computed(v)));
        ParameterValues::of(entries.collect())
    }
}

/// The value of a variable that was computed.
pub(super) fn computed(of: AnyVar) -> AnyTensor {
    with_dtype!(of.dtype(), T => <T as Element>::erase::<Tensors>(of.assume::<T>().computed()))
}
