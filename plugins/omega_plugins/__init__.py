"""The plugins that come with Omega, each written as a stranger would: against `omega.core` alone."""
