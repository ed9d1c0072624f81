"""The CarniTrack contract's server side: edges register, deliver events, ask for sessions, products and labels."""
