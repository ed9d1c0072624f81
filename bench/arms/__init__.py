"""What the product is compared with: the floor a disk or an interpreter sets, and the design that comes to mind first."""
