"""Use: what the model is asked after training, if a person wants that kept, and whether it drifts away from training."""
