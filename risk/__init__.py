"""Pure rules about losing money: values in, values out, nothing looked up."""
