//! Programs made from programs: derivatives.

mod gradient;

pub(crate) use gradient::pull_back;
