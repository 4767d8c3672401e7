"""The faults that a visitor of the demo switches on, and whether they are on. Without FAULTS_TABLE, there are none."""
