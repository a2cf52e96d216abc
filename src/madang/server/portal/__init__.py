"""The portal: pages over the client, with the permissions of whoever looks at them."""
