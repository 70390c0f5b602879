"""What happens to a case between the disk and the network: orient, crop, normalise, resample, store, and the exact way back."""
