"""What the stacks are made of: their configuration, their compositions, their cost."""
