"""The platform without an account: provider plugins, a language host, and two engines that run the program with them."""
