"""Other parties: programs of their own that use nothing but the public documents."""
