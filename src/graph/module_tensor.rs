//! What the call of a PyTorch function says about the tensors of a module.

use super::{Node, Role, TorchCall};

impl TorchCall {
    /// The tensor that has a role in the call: the one that is called so or, where none is, the one in
    /// its place among those whose names say nothing.
    pub fn tensor(&self, role: Role) -> Option<&str> {
        let wanted = role.torch_attribute();
        let called =
            |attribute| self.tensors.iter().filter(move |it| attribute_in(it) == attribute);
        let only = |attribute| match &called(attribute).collect::<Vec<_>>()[..] {
            &[name] => Some(name.as_str()),
            _ => None,
        };
        let unnamed: Vec<&str> = called(None).map(String::as_str).collect();
        match (wanted, &unnamed[..]) {
            (Some(_), _) if called(wanted).next().is_some() => only(wanted),
            (_, &[name]) => Some(name),
            // `addcmul` and its like take first what they add, the others last.
            (Some(_), &[first, second]) => {
                let adds = matches!(role, Role::Bias | Role::Shift);
                Some(if adds == self.function.starts_with("add") { first } else { second })
            }
            (None, []) => match &self.tensors[..] {
                [name] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Which attribute of PyTorch's layers a name speaks of.
fn attribute_in(name: &str) -> Option<&'static str> {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let roles = [Role::RunningMean, Role::RunningVariance, Role::Weight, Role::Bias];
    roles.into_iter().filter_map(Role::torch_attribute).find(|attribute| leaf.contains(attribute))
}

impl Node {
    /// What the module calls the tensor that the node reads in a role, where the exporter says it.
    pub fn module_tensor(&self, role: Role) -> Option<&str> {
        let call = self.call.as_ref()?;
        // The exporter makes up the gain and shift in front of those of a group normalisation.
        let invented = self.op_type == "InstanceNormalization" && call.function != "instance_norm";
        call.tensor(role).filter(|_| !invented)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: &str, tensors: &[&str]) -> TorchCall {
        let tensors = tensors.iter().map(|&it| it.to_owned()).collect();
        TorchCall { function: function.to_owned(), tensors, ..TorchCall::default() }
    }

    #[test]
    fn tensors_are_told_by_their_names() {
        let norm = call("batch_norm", &["n.weight", "n.bias", "n.running_mean", "n.running_var"]);
        assert_eq!(norm.tensor(Role::Gain), Some("n.weight"));
        assert_eq!(norm.tensor(Role::RunningVariance), Some("n.running_var"));
        let packed = call("linear", &["a.in_proj_weight", "a.in_proj_bias"]);
        assert_eq!(packed.tensor(Role::Bias), Some("a.in_proj_bias"));
        assert_eq!(call("conv2d", &["c.weight"]).tensor(Role::Bias), None);
        let both = call("lstm", &["weight_ih_l0", "weight_hh_l0"]);
        assert_eq!(both.tensor(Role::Weight), None);
    }

    #[test]
    fn tensors_of_other_names_are_told_by_their_places() {
        assert_eq!(
            call("mul", &["block.layer_scale"]).tensor(Role::Gain),
            Some("block.layer_scale")
        );
        let affine = call("addcmul", &["n.beta", "n.alpha"]);
        assert_eq!(affine.tensor(Role::Gain), Some("n.alpha"));
        assert_eq!(affine.tensor(Role::Shift), Some("n.beta"));
        let norm = call("layer_norm", &["n.gamma", "n.beta"]);
        assert_eq!(norm.tensor(Role::Gain), Some("n.gamma"));
        assert_eq!(norm.tensor(Role::Shift), Some("n.beta"));
        assert_eq!(call("add", &["weight"]).tensor(Role::Free), Some("weight"));
    }
}
