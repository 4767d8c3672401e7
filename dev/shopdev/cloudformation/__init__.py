"""The CloudFormation stacks: which ones there are, how they are deployed and deleted, and which outputs become whose environment."""
