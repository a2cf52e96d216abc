"""The words of the domain: values and decisions without I/O."""
