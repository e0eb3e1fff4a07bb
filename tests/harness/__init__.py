"""What tests of several layers and models share."""
