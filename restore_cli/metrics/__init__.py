"""One plain function a metric."""
