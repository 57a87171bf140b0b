//! Every public async operation is pending now and then.
