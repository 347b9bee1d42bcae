//! IAM and STS of the fake service: the wire format is what is tested.

use kiln_model::{
    Timestamp,
    iam::{
        Answer, Credentials, Evaluation, IamCode, IamError, Listed, MatchedStatement, Request, Role, Secret,
        SessionRequest, Tag,
    },
    service::{Context, Iam},
};

use crate::{client::Message, fake::Fake, world::World};

impl Iam for Fake {
    async fn iam(&self, _: &Context, request: Request) -> Result<Answer, IamError> {
        match request {
            Request::GetRole { name } if name == "build" => Ok(Answer::Role(Role {
                path: "/a/".to_owned(),
                name,
                id: "AROAX".to_owned(),
                arn: "arn:aws:iam::000000000000:role/a/build".to_owned(),
                created: Timestamp::from_millis(1_795_687_200_000),
                trust: "{\"a\": \"<&~\"}".to_owned(),
                description: Some("<builds>".to_owned()),
                max_session_seconds: 3_600,
                boundary: Some("arn:b".to_owned()),
                tags: vec![Tag { key: "k".to_owned(), value: "v".to_owned() }],
            })),
            Request::GetRole { name } => Err(IamError::missing("role", &name)),
            Request::CreateUser { name, tags, .. } => {
                let message = format!("{name} {tags:?}");
                Err(IamError::new(IamCode::EntityAlreadyExists, message))
            }
            Request::Simulate { simulation, page } => {
                let evaluation = |resource: &String| Evaluation {
                    action: simulation.actions.join(" "),
                    resource: resource.clone(),
                    is_specific: resource != "*",
                    decision: "implicitDeny",
                    matched: vec![MatchedStatement {
                        policy: "<own>".to_owned(),
                        kind: "user",
                        start: (1, 2),
                        end: (3, 4),
                    }],
                    missing: vec!["aws:sourceip".to_owned()],
                    allowed_by_boundary: simulation.boundary.as_ref().map(|boundary| boundary == "wide"),
                };
                let items = simulation.resources.iter().map(evaluation).collect();
                Ok(Answer::Evaluations(Listed { items, marker: page.marker }))
            }
            Request::ContextKeys { simulation } => Ok(Answer::ContextKeys(simulation.policies)),
            _ => Ok(Answer::Done),
        }
    }

    async fn session(&self, _: &Context, request: SessionRequest) -> Result<Credentials, IamError> {
        let SessionRequest::AssumeRole(request) = request else {
            return Err(IamError::new(IamCode::AccessDenied, "no"));
        };
        Ok(Credentials {
            access_key_id: "ASIAX".to_owned(),
            secret: Secret::new("secret".to_owned()),
            session_token: Secret::new("token".to_owned()),
            expires: Timestamp::from_millis(0),
            assumed: Some((format!("{}/{}", request.role_arn, request.session_name), "AROAX:s".to_owned())),
            packed_percent: Some(3),
        })
    }
}

fn iam(form: &str) -> Message {
    let mut message = Message::form(form);
    message.service = "iam";
    message
}

#[tokio::test]
async fn a_role_is_written_as_iam_writes_it() {
    let world = World::start().await;
    let reply = world.ask(iam("Action=GetRole&Version=2010-05-08&RoleName=build")).await;
    let id = reply.header("x-amzn-requestid").to_owned();
    assert_eq!(
        reply.text(),
        format!(
            "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetRoleResult><Role><Path>/a/</Path>\
             <RoleName>build</RoleName><RoleId>AROAX</RoleId><Arn>arn:aws:iam::000000000000:role/a/build</Arn>\
             <CreateDate>2026-11-26T10:00:00Z</CreateDate><AssumeRolePolicyDocument>%7B%22a%22%3A%20%22%3C%26~%22%7D\
             </AssumeRolePolicyDocument><Description>&lt;builds&gt;</Description>\
             <MaxSessionDuration>3600</MaxSessionDuration><PermissionsBoundary>\
             <PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
             <PermissionsBoundaryArn>arn:b</PermissionsBoundaryArn></PermissionsBoundary><Tags><member><Key>k</Key>\
             <Value>v</Value></member></Tags></Role></GetRoleResult><ResponseMetadata><RequestId>{id}</RequestId>\
             </ResponseMetadata></GetRoleResponse>\n"
        )
    );
}

#[tokio::test]
async fn a_simulation_is_written_as_iam_writes_it() {
    let world = World::start().await;
    let form = "Action=SimulateCustomPolicy&Version=2010-05-08&PolicyInputList.member.1=p&ActionNames.member.1=s3:GetObject\
                &PermissionsBoundaryPolicyInputList.member.1=";
    let statements = "<MatchedStatements><member><SourcePolicyId>&lt;own&gt;</SourcePolicyId>\
                      <SourcePolicyType>user</SourcePolicyType><StartPosition><Line>1</Line><Column>2</Column>\
                      </StartPosition><EndPosition><Line>3</Line><Column>4</Column></EndPosition></member>\
                      </MatchedStatements><MissingContextValues><member>aws:sourceip</member></MissingContextValues>";
    for (boundary, allowed) in [("wide", true), ("narrow", false)] {
        let reply = world.ask(iam(&format!("{form}{boundary}&ResourceArns.member.1=arn:r&Marker=7"))).await;
        let why = format!(
            "{statements}<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>{allowed}\
             </AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>"
        );
        let expected = format!(
            "<SimulateCustomPolicyResult><EvaluationResults><member><EvalActionName>s3:GetObject</EvalActionName>\
             <EvalResourceName>arn:r</EvalResourceName><EvalDecision>implicitDeny</EvalDecision>{why}\
             <ResourceSpecificResults><member><EvalResourceName>arn:r</EvalResourceName>\
             <EvalResourceDecision>implicitDeny</EvalResourceDecision>{why}</member></ResourceSpecificResults></member>\
             </EvaluationResults><IsTruncated>true</IsTruncated><Marker>7</Marker></SimulateCustomPolicyResult>"
        );
        assert!(reply.text().contains(&expected), "{}", reply.text());
    }
    let reply = world.ask(iam(&format!("{form}x&ResourceArns.member.1=*"))).await;
    assert!(!reply.text().contains("ResourceSpecificResults"), "{}", reply.text());
    let keys = "Action=GetContextKeysForCustomPolicy&PolicyInputList.member.1=a:b&PolicyInputList.member.2=c:d";
    let expected = "<ContextKeyNames><member>a:b</member><member>c:d</member></ContextKeyNames>";
    let reply = world.ask(iam(keys)).await;
    assert!(reply.text().contains(expected), "{}", reply.text());
}

#[tokio::test]
async fn errors_of_iam_have_their_codes() {
    let world = World::start().await;
    for (form, status, code) in [
        ("Action=GetRole&RoleName=x", 404, "NoSuchEntity"),
        ("Action=CreateUser&UserName=x", 409, "EntityAlreadyExists"),
        ("Action=CreateUser", 400, "ValidationError"),
        ("Action=ListRoles&MaxItems=x", 400, "ValidationError"),
        ("Action=CreateSomething", 400, "InvalidAction"),
        ("Action=GetRole&Action=GetUser", 400, "MalformedInput"),
        ("Action=GetRole&RoleName=%zz", 400, "MalformedInput"),
    ] {
        let reply = world.ask(iam(form)).await;
        assert_eq!(reply.status, status, "{form}: {}", reply.text());
        assert!(reply.text().contains(&format!("<Code>{code}</Code>")), "{form}: {}", reply.text());
    }
    let reply = world.ask(iam("Action=CreateUser&UserName=x&Tags.member.1.Key=a%26b&Tags.member.1.Value=+")).await;
    assert!(reply.text().contains("[Tag { key: &quot;a&amp;b&quot;, value: &quot; &quot; }]"), "{}", reply.text());
}

#[tokio::test]
async fn sessions_come_from_sts() {
    let world = World::start().await;
    let ask = |form: &str| Message::form(form);
    let reply = world.ask(ask("Action=AssumeRole&RoleArn=arn&RoleSessionName=s&DurationSeconds=900")).await;
    for expected in [
        "<AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>",
        "<Expiration>1970-01-01T00:00:00Z</Expiration>",
        "<AssumedRoleUser><Arn>arn/s</Arn><AssumedRoleId>AROAX:s</AssumedRoleId></AssumedRoleUser>",
        "<PackedPolicySize>3</PackedPolicySize>",
    ] {
        assert!(reply.text().contains(expected), "{}", reply.text());
    }
    let reply = world.ask(ask("Action=GetSessionToken")).await;
    assert_eq!((reply.status, reply.text().contains("<Code>AccessDenied</Code>")), (403, true));
    let reply = world.ask(ask("Action=AssumeRole&RoleArn=arn&RoleSessionName=s&SourceIdentity=x")).await;
    assert_eq!(reply.status, 400, "what is not kept is refused: {}", reply.text());
}
