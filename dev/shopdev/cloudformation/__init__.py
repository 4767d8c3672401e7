"""The CloudFormation stacks of the shop: their order, deployment and removal, and their outputs as settings of the services."""
