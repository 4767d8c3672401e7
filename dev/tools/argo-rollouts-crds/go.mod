module tools/argo-rollouts-crds

go 1.26.10

require github.com/argoproj/argo-rollouts v1.10.2
