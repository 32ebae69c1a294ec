"""Use: what the model is asked, if a person wants that kept, and whether it drifts away from training."""
