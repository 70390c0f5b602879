"""From a prepared image to scores, and from masks to what people look at."""
