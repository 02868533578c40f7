"""Provider plugins that check every input against the SDK's own types, and compute what the real ones compute."""
