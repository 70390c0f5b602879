"""Out-of-fold predictions -> how the model is best applied: judged case by case, adopted only where chance does not explain it."""
