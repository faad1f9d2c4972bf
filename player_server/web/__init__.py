"""What all HTTP doors share: the services key, the viewer, CSRF, headers, problem replies."""
